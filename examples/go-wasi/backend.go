package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Bits of the status of pgl_initdb.
const (
	idbFailed  = 1
	idbCalled  = 2
	idbHasDB   = 4
	idbHasUser = 8
)

// Backend is the backend of one instance of libpglite.wasm, for one goroutine at a time.
type Backend struct {
	// Status is what pgl_initdb says.
	Status  uint32
	ctx     context.Context
	runtime wazero.Runtime
	module  api.Module
	memory  reserved
	data    string
	lock    *os.File
	// Address of the block in which the module looks for interrupts.
	interrupts uint32
}

// Open begins a backend. modules is the folder of libpglite.wasm, prefix a directory of this machine; tables of Text go to output. Variables
// of the environment that begin with PG are the module's, too.
func Open(modules, prefix string, output io.Writer) (_ *Backend, err error) {
	if err := os.MkdirAll(prefix, 0o700); err != nil {
		return nil, err
	}
	b := &Backend{data: filepath.Join(prefix, "base")}
	allocate := func(_, limit uint64) experimental.LinearMemory {
		b.memory = reserve(limit)
		return b.memory
	}
	b.ctx = experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(allocate))
	defer func() {
		if err != nil {
			b.free()
		}
	}()
	// Inside, every process has the same number: the module cannot see that somebody else has the directory.
	if b.lock, err = os.Open(prefix); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(b.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%s is in use: %w", prefix, err)
	}
	code, err := os.ReadFile(filepath.Join(modules, "libpglite.wasm"))
	if err != nil {
		return nil, err
	}
	// Machine code is kept, so that only the first start waits for the compiler.
	cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(modules, "wazero"))
	if err != nil {
		return nil, err
	}
	b.runtime = wazero.NewRuntimeWithConfig(b.ctx, wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesExceptionHandling).
		WithCompilationCache(cache))
	if _, err := wasi_snapshot_preview1.Instantiate(b.ctx, b.runtime); err != nil {
		return nil, err
	}
	compiled, err := b.runtime.CompileModule(b.ctx, code)
	if err != nil {
		return nil, err
	}
	config := wazero.NewModuleConfig().
		WithStartFunctions("_initialize").
		WithFSConfig(wazero.NewFSConfig().
			WithReadOnlyDirMount(filepath.Join(modules, "root"), "/pglite").
			WithDirMount(prefix, "/tmp/pglite")).
		WithSysWalltime().WithSysNanotime().WithSysNanosleep().WithRandSource(rand.Reader).
		WithStdout(output).WithStderr(os.Stderr)
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "PG") && name != "PGDATA" {
			config = config.WithEnv(name, value)
		}
	}
	if b.module, err = b.runtime.InstantiateModule(b.ctx, compiled, config); err != nil {
		return nil, err
	}
	if b.Status, err = b.call("pgl_initdb"); err != nil {
		return nil, err
	}
	if b.Status&idbFailed != 0 {
		return nil, errors.New("there is no cluster; the reason is on standard error")
	}
	if failed, err := b.call("pgl_backend"); err != nil || failed != 0 {
		return nil, fmt.Errorf("the backend does not begin; the reason is on standard error (%w)", err)
	}
	b.interrupts, err = b.call("get_buffer_addr", 2)
	return b, err
}

func (b *Backend) call(name string, arguments ...uint64) (uint32, error) {
	results, err := b.module.ExportedFunction(name).Call(b.ctx, arguments...)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return uint32(results[0]), nil
}

// Wire sends messages of the protocol through the memory area, which begins at address 1, and returns the reply.
func (b *Backend) Wire(message []byte) ([]byte, error) {
	if !b.module.Memory().Write(1, message) {
		return nil, errors.New("the message does not fit into the memory")
	}
	if _, err := b.call("use_wire", 1); err != nil {
		return nil, err
	}
	if _, err := b.call("interactive_write", uint64(len(message))); err != nil {
		return nil, err
	}
	if _, err := b.call("interactive_one"); err != nil {
		return nil, err
	}
	size, err := b.call("interactive_read")
	if err != nil {
		return nil, err
	}
	if number := -int32(size); number > 0 {
		// It did not fit.
		path := filepath.Join(b.data, fmt.Sprintf(".s.PGSQL.5432.out.%d", number))
		defer os.Remove(path)
		return os.ReadFile(path)
	}
	reply, _ := b.module.Memory().Read(uint32(2+len(message)), size)
	return append([]byte(nil), reply...), nil
}

// Text runs what psql would take; a statement that has not ended waits for the next text.
func (b *Backend) Text(text string) error {
	if _, err := b.call("use_wire", 0); err != nil {
		return err
	}
	if !b.module.Memory().Write(1, append([]byte(text), 0)) {
		return errors.New("the text does not fit into the memory")
	}
	_, err := b.call("interactive_one")
	return err
}

// Cancel cancels what the backend does, from any goroutine, until Close.
func (b *Backend) Cancel() { b.memory.interrupt(b.interrupts, int(syscall.SIGINT)) }

// Close shuts the backend down.
func (b *Backend) Close() error {
	_, err := b.call("pgl_shutdown")
	b.free()
	return err
}

func (b *Backend) free() {
	if b.runtime != nil {
		b.runtime.Close(b.ctx)
	}
	if b.lock != nil {
		b.lock.Close()
	}
}
