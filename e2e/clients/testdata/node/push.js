// Pushes as prom-client's documentation shows, "Pushgateway".
const client = require('prom-client');
const gateway = new client.Pushgateway(process.argv[2]);

const gauge = new client.Gauge({ name: 'job_last_success_unixtime', help: 'Last time the job finished' });
gauge.setToCurrentTime();
gateway.push({ jobName: 'node_push' }).catch(err => {
  console.error(err.message);
  process.exitCode = 1;
});
