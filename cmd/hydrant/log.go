package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"hydrant/buffer/wal"
	"hydrant/internal/vfs"
	"hydrant/record"
)

func newLog() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Read the logs on the disk: verify, dump, repair",
		Long: `Read the logs on the disk. DIR is a data directory, a stream's folder in it (streams/NAME~ID) or a log's folder.

No subcommand changes a log: the daemon reads around damage by itself, reports it and keeps a copy.`,
		Args: noSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SuggestionsMinimumDistance = suggestWithin
	cmd.AddCommand(newLogVerify(), newLogDump(), newLogRepair())
	return cmd
}

func newLogVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify DIR",
		Short: "Check every checksum; exit code 1 when records are damaged",
		Args:  argsNamed(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			unlock, err := lockOf(args[0])
			var locked *vfs.LockedError
			if errors.As(err, &locked) {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: %s; what it writes meanwhile may look torn or missing\n", locked)
			} else if err != nil {
				return err
			}
			defer unlock()
			sum, _, err := inspect(cmd.OutOrStdout(), args[0], wal.Verify)
			if err == nil && sum.Damaged > 0 {
				err = fmt.Errorf("%s damaged; `hydrant log repair %s` keeps copies of what can still be read of them", count(sum.Damaged, "stretch of the log is|stretches of the log are"), args[0])
			}
			return err
		},
	}
}

func newLogRepair() *cobra.Command {
	return &cobra.Command{
		Use:   "repair DIR",
		Short: "Keep copies of damaged stretches, beside the log",
		Long: `Like verify, and copies each damaged stretch into the folder "damaged" beside the log, for whoever wants to look for records
in it. The log itself stays as it is: the daemon reads around the damage. Stop the daemon first.`,
		Args: argsNamed(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			unlock, err := lockOf(args[0])
			if err != nil {
				return fmt.Errorf("%w; stop that Hydrant first", err)
			}
			defer unlock()
			_, uncopied, err := inspect(cmd.OutOrStdout(), args[0], wal.Repair)
			if err == nil && uncopied > 0 {
				err = fmt.Errorf("%s not be copied; is there space on the disk?", count(uncopied, "stretch could|stretches could"))
			}
			return err
		},
	}
}

// lockOf takes the data directory that the folder belongs to, as a daemon would; a folder outside of one needs no lock.
func lockOf(dir string) (unlock func(), err error) {
	unlock = func() {}
	at, err := filepath.Abs(dir)
	if err != nil {
		return unlock, err
	}
	const depth = 4 // the data directory, streams, the stream, its log
	for range depth {
		if ok, err := vfs.NewOS().Exists(filepath.Join(at, "LOCK")); err != nil {
			return unlock, err
		} else if ok {
			free, err := vfs.Lock(at, vfs.HolderText(time.Now()))
			if err != nil {
				return unlock, err
			}
			return func() { _ = free() }, nil // the process is about to end
		}
		at = filepath.Dir(at)
	}
	return unlock, nil
}

// findLogs says what to name when there is none.
func findLogs(dir string) ([]string, error) {
	logs, err := wal.FindLogs(vfs.NewOS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; name a data directory, a folder in its streams/, or a log", err)
	}
	return logs, err
}

// inspect reads all logs of dir with one of wal's inspections and prints what it finds. A log that cannot be read does not
// keep the others from being read. uncopied counts damaged stretches without a copy.
func inspect(w io.Writer, dir string, with func(vfs.FS, string, func(wal.Finding)) (wal.Summary, error)) (sum wal.Summary, uncopied int, err error) {
	logs, err := findLogs(dir)
	if err != nil {
		return sum, 0, err
	}
	for _, log := range logs {
		one, lerr := with(vfs.NewOS(), log, func(f wal.Finding) {
			fmt.Fprintln(w, findingText(f))
			if f.Kind == wal.FoundDamage && f.Bytes > 0 && f.Copy == "" {
				uncopied++
			}
		})
		err = errors.Join(err, lerr)
		sum.Add(one)
		fmt.Fprintf(w, "%s: %s, %s, %s of records, %s damaged\n", log, count(one.Segments, "segment"), count(one.Records, "record"),
			count(one.RecordBytes, "byte"), count(one.Damaged, "stretch|stretches"))
	}
	return sum, uncopied, err
}

func findingText(f wal.Finding) string {
	text := fmt.Sprintf("%s: %s: offset %d, %s", f.File, f.Kind, f.Offset, count(f.Bytes, "byte"))
	switch {
	case f.From > 0 && f.To == f.From:
		text += fmt.Sprintf(", record %d", f.From)
	case f.From > 0 && f.To > f.From:
		text += fmt.Sprintf(", records %d to %d", f.From, f.To)
	case f.From > 0:
		text += fmt.Sprintf(", from record %d", f.From)
	}
	text += ": " + f.Why
	if f.Copy != "" {
		text += "; copied to " + f.Copy
	}
	return text
}

// dumpFlags is one command line of log dump.
type dumpFlags struct {
	from  uint64
	limit int
	raw   bool
	found int // records printed
}

// nothing says that there was nothing to print, and where.
func (f *dumpFlags) nothing(dir string) string {
	if f.from == 0 {
		return "there is no record in " + dir
	}
	return fmt.Sprintf("there is no record at position %d or behind it in %s", f.from, dir)
}

func newLogDump() *cobra.Command {
	var f dumpFlags
	cmd := &cobra.Command{
		Use:   "dump DIR",
		Short: "Print the intact records, delivered or not, as far as they are still there",
		Long: `Print the intact records of the logs in DIR that are still there, whether delivered or not: one JSON object a line with the
record in "data", or in "data_base64" when it is no UTF-8. With --raw only the records, each ending with a line feed.`,
		Args: argsNamed(1, 1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.limit < 0 {
				return usagef("--limit %d is negative", f.limit)
			}
			logs, err := findLogs(args[0])
			if err != nil {
				return err
			}
			for _, log := range logs {
				err = errors.Join(err, f.dump(cmd.OutOrStdout(), log))
			}
			if err == nil && f.found == 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", f.nothing(args[0]))
			}
			return err
		},
	}
	cmd.Flags().Uint64Var(&f.from, "from", 0, "first `POSITION`")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "at most so many records of each log; 0 for all")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "only the records")
	return cmd
}

// dumped is one record as JSON; the names are a promise.
type dumped struct {
	Log      string          `json:"log"`
	Segment  string          `json:"segment"`
	Offset   int64           `json:"frame_offset"`
	Epoch    string          `json:"epoch"`
	Position record.Position `json:"position"`
	Arrival  time.Time       `json:"arrival"`
	Text     *string         `json:"data,omitempty"`
	Bytes    []byte          `json:"data_base64,omitempty"`
	Note     json.RawMessage `json:"put_note,omitempty"` // what the put carried beside its records
}

func (f *dumpFlags) dump(w io.Writer, log string) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	err := wal.Dump(vfs.NewOS(), log, record.Position(f.from), f.limit, f.visitor(log, buffered))
	return errors.Join(err, buffered.Flush())
}

// visitor writes records to w.
func (f *dumpFlags) visitor(log string, w io.Writer) func(wal.SegmentInfo, wal.FrameInfo, record.Record) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(s wal.SegmentInfo, frame wal.FrameInfo, r record.Record) error {
		f.found++
		if f.raw {
			return writeLine(w, r.Data)
		}
		d := dumped{Log: log, Segment: filepath.Base(s.File), Offset: frame.Offset, Epoch: r.Epoch.String(), Position: r.Pos,
			Arrival: time.UnixMilli(r.ArrivalMillis).UTC()}
		if frame.Note != "" {
			d.Note = json.RawMessage(frame.Note)
		}
		if utf8.Valid(r.Data) {
			text := string(r.Data)
			d.Text = &text
		} else {
			d.Bytes = r.Data
		}
		return e.Encode(d)
	}
}

// writeLine writes data and a line feed where there is none.
func writeLine(w io.Writer, data []byte) error {
	if _, err := w.Write(data); err != nil {
		return err
	}
	if n := len(data); n > 0 && data[n-1] == '\n' {
		return nil
	}
	_, err := w.Write([]byte("\n"))
	return err
}
