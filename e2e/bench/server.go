// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-pushgateway/pushgatewayreceiver"
)

// server is a process that takes pushes.
type server struct {
	cmd    *exec.Cmd
	client *http.Client
	url    string
}

// startServer starts a process on a free port and waits until it is ready.
func startServer(path string, arguments func(address string) []string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := listener.Addr().String()
	_ = listener.Close()
	s := &server{
		cmd:    exec.Command(path, arguments(address)...), //nolint:gosec // The command line names it.
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}},
		url:    "http://" + address,
	}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.await(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// await waits until the server is ready.
func (s *server) await() error {
	for range 300 {
		time.Sleep(100 * time.Millisecond)
		response, err := s.client.Get(s.url + "/-/ready")
		if err == nil {
			_ = response.Body.Close()
			return nil
		}
	}
	return errors.New("the server did not become ready")
}

// stop ends the process and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// cpu is the CPU time that the process has used, in user and system mode (proc_pid_stat(5), fields 14 and 15).
func (s *server) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// serve runs a receiver that keeps groups in memory until it is told to end.
func serve(address string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	factory := pushgatewayreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	settings := confmap.NewFromStringMap(map[string]any{"endpoint": address, "groups": map[string]any{"max_series": 0}})
	if err := settings.Unmarshal(config); err != nil {
		return err
	}
	receiver, err := factory.CreateMetrics(ctx, receivertest.NewNopSettings(factory.Type()), config, consumertest.NewNop())
	if err != nil {
		return err
	}
	if err := receiver.Start(ctx, componenttest.NewNopHost()); err != nil {
		return err
	}
	<-ctx.Done()
	return receiver.Shutdown(context.Background())
}
