// Command drivers runs the scenarios of ../README.md with pgx.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const rows = 20_000

var (
	uri          = os.Getenv("DRIVERS_URI")
	socketFolder = os.Getenv("DRIVERS_SOCKET")
)

type scenario struct {
	name string
	run  func(ctx context.Context)
}

// failure is what check and its like panic with.
type failure struct{ text string }

func check(condition bool, what string) {
	if !condition {
		panic(failure{what})
	}
}

func equal(actual, expected any) {
	if !reflect.DeepEqual(actual, expected) {
		panic(failure{fmt.Sprintf("%.300v instead of %.300v", actual, expected)})
	}
}

func must(err error) {
	if err != nil {
		panic(failure{err.Error()})
	}
}

func get[T any](value T, err error) T {
	must(err)
	return value
}

// fails wants an error with this SQLSTATE.
func fails(state string, err error) {
	var postgres *pgconn.PgError
	if !errors.As(err, &postgres) || postgres.Code != state {
		panic(failure{fmt.Sprintf("%v, but %s was expected", err, state)})
	}
}

// until asks until the answer is true.
func until(ask func() bool) {
	for range 3000 {
		if ask() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	panic(failure{"a condition never became true"})
}

func attempt(one scenario) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	defer func() {
		switch problem := recover().(type) {
		case nil:
		case failure:
			err = errors.New(problem.text)
		default:
			panic(problem)
		}
	}()
	one.run(ctx)
	return nil
}

func runAll(version string, all []scenario) {
	fmt.Println("version", version)
	status := 0
	for _, one := range all {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], one.name) {
			continue
		}
		start := time.Now()
		if err := attempt(one); err != nil {
			status = 1
			fmt.Println("FAILED", one.name, strings.Join(strings.Fields(err.Error()), " "))
		} else {
			fmt.Printf("ok %s %.3f\n", one.name, time.Since(start).Seconds())
		}
	}
	os.Exit(status)
}
