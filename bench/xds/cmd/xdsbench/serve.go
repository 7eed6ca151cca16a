package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/podway/podway/api/garbage"
	"github.com/podway/podway/bench/xds/servers"
)

// serveArgument makes the program a server that obeys its standard input.
const serveArgument = "serve"

// profileVariable says where a server writes its CPU profile.
const profileVariable = "XDSBENCH_PROFILE"

// order is what a server is told to do, in one line of JSON: to publish Count changes of the clusters from Cluster on, or of that one alone where
// Gap is set, each so long after the last; and to answer how it is.
type order struct {
	Cluster, Seed, Count int
	Gap                  time.Duration
	// Settle collects garbage and gives back memory first.
	Settle bool
}

// report is how a server is after an order, in one line of JSON.
type report struct {
	Address string
	Error   string
	// Published is when the first change was published.
	Published time.Time
	// CPU is user and system time of the process.
	CPU time.Duration
	// Allocations and Allocated are numbers and bytes since the process began; Heap and Resident, bytes now.
	Allocations, Allocated uint64
	Heap, Resident         int64
	Goroutines             int
}

// serve is the server's process. It ends with its input. Whatever the kind, garbage is collected as podway serve does.
func serve(kind, clusters string, in io.Reader, out io.Writer) (err error) {
	count, err := strconv.Atoi(clusters)
	if err != nil {
		return err
	}
	stop, err := profile(os.Getenv(profileVariable))
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go garbage.Pace(ctx)
	system, err := servers.Start(kind, count)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, system.Stop()) }()
	encoder := json.NewEncoder(out)
	if err := encoder.Encode(report{Address: system.Address}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		r := report{Published: time.Now()}
		if err := o.publish(system); err != nil {
			r.Error = err.Error()
		}
		if err := r.measure(o.Settle); err != nil {
			return err
		}
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, err
	}
	return pprof.StopCPUProfile, nil
}

func (o order) publish(system *servers.System) error {
	began := time.Now()
	for i := range o.Count {
		cluster := o.Cluster + i
		if o.Gap > 0 {
			cluster = o.Cluster
			<-time.After(time.Until(began.Add(time.Duration(i) * o.Gap)))
		}
		if err := system.Publish(cluster, o.Seed+i); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) measure(settle bool) error {
	if settle {
		runtime.GC()
		runtime.GC()
		debug.FreeOSMemory()
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return err
	}
	r.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	r.Allocations, r.Allocated, r.Heap = memory.Mallocs, memory.TotalAlloc, int64(memory.HeapAlloc)
	r.Goroutines = runtime.NumGoroutine()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return err
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	r.Resident = pages * int64(os.Getpagesize())
	return err
}
