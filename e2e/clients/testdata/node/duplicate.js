// Pushes one series twice, with an empty label and without it: a push that is at fault.
const client = require('prom-client');
const gateway = new client.Pushgateway(process.argv[2]);

const gauge = new client.Gauge({ name: 'job_rows', help: 'Rows that were copied', labelNames: ['table'] });
gauge.set({ table: '' }, 1);
gauge.set({}, 2);
gateway.push({ jobName: 'node_duplicate' }).catch(err => {
  console.error(err.message);
  process.exitCode = 1;
});
