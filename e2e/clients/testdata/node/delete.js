// Deletes a group.
const client = require('prom-client');
const gateway = new client.Pushgateway(process.argv[2]);

gateway.delete({ jobName: 'node_delete', groupings: { zone: 'eu' } }).catch(err => {
  console.error(err.message);
  process.exitCode = 1;
});
