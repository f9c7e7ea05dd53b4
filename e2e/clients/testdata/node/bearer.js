// Pushes with a bearer token, by an option of Node's own HTTP library.
const client = require('prom-client');
const gateway = new client.Pushgateway(process.argv[2], { headers: { Authorization: 'Bearer a-token-of-many-letters' } });

const gauge = new client.Gauge({ name: 'job_last_success_unixtime', help: 'Last time the job finished' });
gauge.setToCurrentTime();
gateway.push({ jobName: 'node_bearer' }).catch(err => {
  console.error(err.message);
  process.exitCode = 1;
});
