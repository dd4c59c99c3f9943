package appendfile

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"hydrant/record"
)

var (
	errKey     = errors.New("file sink: the key does not consist of a path and a name")
	errPath    = errors.New("file sink: the path ends with a slash or has a part that no file can have: \".\", \"..\" or a zero byte")
	errTooLong = errors.New("file sink: the key, or the file's name in it, is too long")
	errBody    = errors.New("file sink: the object's bytes could not be read")
	errClosed  = errors.New("file sink: closed")
	errInWay   = errors.New("file sink: a file appeared where a rotated one was about to go")
	errSidecar = errors.New("file sink: the notes on a file")
)

// failed classifies an error. Only a key or name that no disk can hold is the object's fault; all else may pass. sent says that bytes of the
// object may have been written.
func failed(err error, sent bool) record.Outcome {
	out := record.Outcome{Kind: record.Retry, Code: "File." + code(err), Err: err, Unsent: !sent}
	if errors.Is(err, errKey) || errors.Is(err, errPath) || tooLong(err) {
		out.Kind, out.Unsent = record.Rejected, false
	}
	return out
}

// tooLong: the path of the object, that is, and not the one of a sidecar, which is the same for all of them.
func tooLong(err error) bool {
	return errors.Is(err, errTooLong) || errors.Is(err, syscall.ENAMETOOLONG) && !errors.Is(err, errSidecar)
}

// code is the outcome's error code without its prefix.
func code(err error) string {
	switch {
	case errors.Is(err, errKey):
		return "InvalidKey"
	case errors.Is(err, errPath):
		return "InvalidPath"
	case tooLong(err):
		return "NameTooLong"
	case errors.Is(err, context.Canceled):
		return "Cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "RequestTimeout"
	case errors.Is(err, errBody):
		return "ReadFailed"
	case errors.Is(err, errClosed):
		return "Closed"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "DiskFull"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "AccessDenied"
	case errors.Is(err, syscall.EISDIR):
		return "IsADirectory"
	case errors.Is(err, syscall.ENOTDIR):
		return "NotADirectory"
	}
	return "IOError"
}
