// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU time in /proc on Linux.
const clockTick = 10 * time.Millisecond

// CPU returns the CPU time that the server has used, with its processes that have ended.
func (s *Server) CPU() (time.Duration, error) {
	server := strconv.Itoa(s.process.Process.Pid)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%[1]s/children", server))
	if err != nil {
		return 0, err
	}
	ticks := 0
	for _, pid := range append(strings.Fields(string(children)), server) {
		ticks += ticksOf(pid)
	}
	return time.Duration(ticks) * clockTick, nil
}

// ticksOf adds utime, stime, cutime and cstime (proc_pid_stat(5)). It is 0 for a process that has ended: its parent has its time.
func ticksOf(pid string) (ticks int) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat") //nolint:gosec // A number that Linux gave.
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0
	}
	for _, field := range fields[11:15] {
		n, err := strconv.Atoi(field)
		if err == nil {
			ticks += n
		}
	}
	return ticks
}
