// Adds a metric of every type of prom-client to a group with groupings, over an agent that keeps connections.
const http = require('http');
const client = require('prom-client');
const gateway = new client.Pushgateway(process.argv[2], {
  timeout: 5000,
  agent: new http.Agent({ keepAlive: true, keepAliveMsec: 10000, maxSockets: 5 }),
});

const counter = new client.Counter({ name: 'my_requests_total', help: 'HTTP\nrequests', labelNames: ['method', 'endpoint'] });
counter.inc({ method: 'get', endpoint: '/' });
counter.inc({ method: 'post', endpoint: '/submit "now"' }, 2.5);
new client.Gauge({ name: 'my_inprogress_requests', help: 'In progress' }).set(-4.2e-9);
const histogram = new client.Histogram({ name: 'request_size_bytes', help: 'Sizes', buckets: [0.5, 1, 1000, 2.5e9] });
histogram.observe(4.7);
histogram.observe(1e12);
const summary = new client.Summary({ name: 'request_latency_seconds', help: 'Latencies', percentiles: [0.5, 0.99, 1] });
summary.observe(4.7);

gateway
  .pushAdd({ jobName: 'node pushAdd', groupings: { zone: 'eu west', shard: 3 } })
  .then(() => gateway.pushAdd({ jobName: 'node pushAdd', groupings: { zone: 'eu west', shard: 4 } }))
  .catch(err => {
    console.error(err.message);
    process.exitCode = 1;
  })
  .finally(() => gateway.requestOptions.agent.destroy());
