// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package soak

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
)

// job is what all clients push as. Each has a group of its own.
const job = "soak"

// pushed are the metrics of each push. Both have the number of the push as their value.
var pushed = []string{"pushes_total", "last_push"}

// seriesPerPush counts those and push_time_seconds.
const seriesPerPush = 3

// client pushes the numbers 1, 2, 3 and so on, each again and again until it is answered 200.
type client struct {
	number   int
	http     *http.Client
	answered int    // the last number that was answered 200
	status   int    // of the last answer; 0: none
	refusal  string // an answer that says not to try again
	tries    int
}

// newClients share a pool of connections.
func newClients(n int) []*client {
	transport := &http.Transport{MaxIdleConnsPerHost: n}
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = &client{number: i, http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
	}
	return clients
}

// series are the names of a client's series at the far end.
func (c *client) series() []string {
	var names []string
	for _, name := range pushed {
		names = append(names, nameOf(map[string]string{"__name__": name, "job": job, "client": strconv.Itoa(c.number)}))
	}
	return names
}

// run pushes until the context ends or a push is refused. The pause between two pushes is random and as long as said on average.
func (c *client) run(ctx context.Context, url string, pause time.Duration) {
	for ctx.Err() == nil && c.refusal == "" {
		if c.pushOnce(url) {
			sleep(ctx, rand.N(2*pause+1))
			continue
		}
		sleep(ctx, 100*time.Millisecond+rand.N(200*time.Millisecond))
	}
}

// pushOnce pushes the next number.
func (c *client) pushOnce(url string) bool {
	ok := c.push(url, c.answered+1)
	if ok {
		c.answered++
	}
	return ok
}

// push tells whether it was answered 200. Every second client is the Go library, the others write text. Each uses PUT and
// POST in turns.
func (c *client) push(url string, value int) bool {
	c.tries++
	c.status = 0
	var err error
	if c.number%2 == 0 {
		err = c.pushByLibrary(url, value)
	} else {
		err = c.pushText(url, value)
	}
	if c.status/100 == 4 && c.status != http.StatusTooManyRequests {
		c.refusal = fmt.Sprintf("push %d of client %d: %v", value, c.number, err)
	}
	return err == nil
}

func (c *client) pushByLibrary(url string, value int) error {
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: pushed[0], Help: "The number of this push."})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: pushed[1], Help: "The number of this push."})
	counter.Add(float64(value))
	gauge.Set(float64(value))
	pusher := push.New(url, job).Grouping("client", strconv.Itoa(c.number)).Client(c).Collector(counter).Collector(gauge)
	if value%2 == 0 {
		return pusher.Push()
	}
	return pusher.Add()
}

func (c *client) pushText(url string, value int) error {
	body := fmt.Sprintf("# TYPE %s counter\n%[1]s %d\n# TYPE %s gauge\n%[3]s %[2]d\n", pushed[0], value, pushed[1])
	method := []string{http.MethodPut, http.MethodPost}[value%2]
	request, err := http.NewRequest(method, fmt.Sprintf("%s/metrics/job/%s/client/%d", url, job, c.number), strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d: %s", response.StatusCode, text)
	}
	return nil
}

// Do is the transport of the library, too: it notes the status, of which the library tells only in words.
func (c *client) Do(request *http.Request) (*http.Response, error) {
	response, err := c.http.Do(request)
	if err == nil {
		c.status = response.StatusCode
	}
	return response, err
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
