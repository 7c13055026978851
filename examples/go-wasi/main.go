// A prompt for SQL: PostgreSQL as a WebAssembly module in wazero, which is Go and nothing else.
//
//	PGLITE_WASM=FOLDER PREFIX=/tmp/my-prefix go run .
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

func main() {
	prefix := os.Getenv("PREFIX")
	if prefix == "" {
		prefix = "/tmp/pglite"
	}
	if err := repl(os.Getenv("PGLITE_WASM"), prefix, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// repl runs lines until there are no more.
func repl(modules, prefix string, input io.Reader, output io.Writer) error {
	backend, err := Open(modules, prefix, output)
	if err != nil {
		return err
	}
	lines := bufio.NewReader(input)
	for {
		fmt.Fprint(output, "sql> ")
		line, ended := lines.ReadString('\n')
		if err := backend.Text(line); err != nil {
			backend.free()
			return err
		}
		if ended != nil {
			break
		}
	}
	fmt.Fprintln(output)
	return backend.Close()
}
