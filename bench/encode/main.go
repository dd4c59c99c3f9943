// Command encode turns a file of NDJSON into a Parquet file with the encoder alone and says what it cost, so that it can stand
// beside another program that reads the same file: encode SCHEMA INPUT OUTPUT, where SCHEMA is the Hive name of a struct.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"

	"hydrant/config"
	"hydrant/config/schema"
	"hydrant/formats/parquet"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: encode SCHEMA INPUT OUTPUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "encode:", err)
		os.Exit(1)
	}
}

// run prints input bytes, records, CPU seconds (user and system, reading the file included) and output bytes.
func run(columns, input, output string) error {
	t, err := schema.Parse(columns)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	data, err := os.ReadFile(input)
	if err != nil {
		return err
	}
	out, err := os.Create(output)
	if err != nil {
		return err
	}
	before := cpuSeconds()
	w := bufio.NewWriterSize(out, 1<<20)
	records, err := encode(w, t.Fields, data)
	if err = errors.Join(err, w.Flush()); err != nil {
		return errors.Join(err, out.Close())
	}
	cpu := cpuSeconds() - before
	info, err := out.Stat()
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	fmt.Println(len(data), records, cpu, info.Size())
	return nil
}

func encode(w *bufio.Writer, columns []schema.Column, data []byte) (records int, err error) {
	enc, err := parquet.New(w, parquet.Options{Columns: columns, Config: config.Parquet{Compression: "snappy"}})
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		if err := enc.Write(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return records, fmt.Errorf("record %d: %w", records+1, err)
		}
		records++
	}
	return records, enc.Close()
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
