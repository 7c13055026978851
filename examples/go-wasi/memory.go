package main

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
)

// reserved is a memory that grows where it is: wazero's own would be copied each time. Pages that nobody has written to cost nothing.
type reserved []byte

func reserve(limit uint64) reserved {
	const pages = syscall.MAP_PRIVATE | syscall.MAP_ANON | syscall.MAP_NORESERVE
	all, err := syscall.Mmap(-1, 0, int(limit), syscall.PROT_READ|syscall.PROT_WRITE, pages)
	if err != nil {
		panic(err)
	}
	return all
}

func (r reserved) Reallocate(size uint64) []byte { return r[:size:size] }

func (r reserved) Free() { _ = syscall.Munmap(r) }

// word is four bytes at an address, for use while the module runs.
func (r reserved) word(address uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r[address])) }

// interrupt writes what a signal's handler would: the signals, and a flag for which the module's code looks.
func (r reserved) interrupt(block uint32, signal int) {
	atomic.OrUint32(r.word(block), 1<<(signal-1))
	atomic.StoreUint32(r.word(atomic.LoadUint32(r.word(block+8))), 1)
}

var _ experimental.LinearMemory = reserved{}
