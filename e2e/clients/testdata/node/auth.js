// Pushes with basic authentication, by an option of Node's own HTTP library.
const client = require('prom-client');
const gateway = new client.Pushgateway(process.argv[2], { auth: 'team-a:secret' });

const gauge = new client.Gauge({ name: 'job_last_success_unixtime', help: 'Last time the job finished' });
gauge.setToCurrentTime();
gateway.push({ jobName: 'node_auth' }).catch(err => {
  console.error(err.message);
  process.exitCode = 1;
});
