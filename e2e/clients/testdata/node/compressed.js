// Pushes with gzip, which prom-client does when this header is set.
const client = require('prom-client');
const gateway = new client.Pushgateway(process.argv[2], { headers: { 'Content-Encoding': 'gzip' } });

new client.Gauge({ name: 'job_rows', help: 'Rows that were copied' }).set(42);
gateway.push({ jobName: 'node_gzip' }).catch(err => {
  console.error(err.message);
  process.exitCode = 1;
});
