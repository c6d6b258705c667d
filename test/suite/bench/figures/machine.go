package figures

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Machine is what a part was measured on, and when.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memoryBytes"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	// Load is the load average of the minute before.
	Load float64 `json:"load"`
	Day  string  `json:"day"`
}

// ThisMachine describes the machine that this process runs on. It is called before anything is measured, for the load.
func ThisMachine() (Machine, error) {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Day: time.Now().UTC().Format(time.DateOnly)}
	var files [4]string
	for i, path := range []string{"/proc/cpuinfo", "/proc/meminfo", "/proc/sys/kernel/osrelease", "/proc/loadavg"} {
		text, err := os.ReadFile(path)
		if err != nil {
			return m, err
		}
		files[i] = string(text)
	}
	m.CPU = valueIn(files[0], "model name")
	if m.CPU == "" { // Not every architecture has one.
		m.CPU = runtime.GOARCH
	}
	if _, err := fmt.Sscanf(valueIn(files[1], "MemTotal"), "%d kB", &m.Memory); err != nil {
		return m, fmt.Errorf("/proc/meminfo: MemTotal: %w", err)
	}
	m.Memory <<= 10
	m.Kernel = "Linux " + strings.TrimSpace(files[2])
	load, _, _ := strings.Cut(files[3], " ")
	var err error
	if m.Load, err = strconv.ParseFloat(load, 64); err != nil {
		return m, fmt.Errorf("/proc/loadavg: %w", err)
	}
	return m, nil
}

// valueIn returns what follows a name and a colon.
func valueIn(text, name string) string {
	for line := range strings.Lines(text) {
		if found, value, _ := strings.Cut(line, ":"); strings.TrimSpace(found) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String describes the machine in one line, without its load.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %.0f GiB, %s, %s",
		m.CPU, m.Cores, float64(m.Memory)/(1<<30), m.Kernel, strings.Replace(m.Go, "go", "Go ", 1))
}
