package config

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

// APIError is an error in the words of the Firehose API.
type APIError struct {
	Type    string // ValidationException, InvalidArgumentException, SerializationException
	Message string
	Status  int // of the HTTP answer
}

func (e *APIError) Error() string { return e.Type + ": " + e.Message }

func invalidArgument(format string, args ...any) *APIError {
	return &APIError{"InvalidArgumentException", fmt.Sprintf(format, args...), http.StatusBadRequest}
}

func unsupportedFeature(what string) *APIError {
	return invalidArgument("%s is not supported by this version of Hydrant", what)
}

// StreamARN is the ARN of the stream of that name.
func StreamARN(aws AWS, name string) string {
	return fmt.Sprintf("arn:%s:firehose:%s:%s:deliverystream/%s", partitionOf(aws.Region), aws.Region, aws.AccountID, name)
}

// partitionOf is the second word of the region's ARNs.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// The compression formats of the API, in the order in which Firehose lists them in its messages.
func compressionFormats() []string {
	return []string{"ZIP", "HADOOP_SNAPPY", "Snappy", "GZIP", "UNCOMPRESSED"}
}

// compressionFromAPI is our word for one of compressionFormats.
func compressionFromAPI(format string) string {
	switch format {
	case "ZIP":
		return CompressionZip
	case "HADOOP_SNAPPY":
		return CompressionHadoopSnappy
	case "Snappy":
		return CompressionSnappy
	case "GZIP":
		return CompressionGzip
	}
	return CompressionNone
}

// compressionToAPI is the API's word. It has none for zstd, which only YAML can ask for:
// such a stream describes itself as UNCOMPRESSED.
func compressionToAPI(codec string) string {
	switch codec {
	case CompressionZip:
		return "ZIP"
	case CompressionHadoopSnappy:
		return "HADOOP_SNAPPY"
	case CompressionSnappy:
		return "Snappy"
	case CompressionGzip:
		return "GZIP"
	}
	return "UNCOMPRESSED"
}

// constraints collects the violations of a request's shape; paths have lower-case first letters.
type constraints struct{ found []string }

// maxViolations bounds the message of a request in which everything is wrong.
const maxViolations = 20

func (c *constraints) add(path, format string, args ...any) {
	if len(c.found) < maxViolations {
		c.found = append(c.found, fmt.Sprintf("Value at '%s' failed to satisfy constraint: Member must "+format, append([]any{path}, args...)...))
	}
}

// err is nil when nothing was found.
func (c *constraints) err() *APIError {
	if len(c.found) == 0 {
		return nil
	}
	noun := "errors"
	if len(c.found) == 1 {
		noun = "error"
	}
	return &APIError{"ValidationException", fmt.Sprintf("%d validation %s detected: %s", len(c.found), noun, strings.Join(c.found, "; ")), http.StatusBadRequest}
}

// required is length and pattern for a member that must be there.
func (c *constraints) required(path string, v *string, low, high int, pattern *regexp.Regexp) {
	if v == nil {
		c.add(path, "not be null")
		return
	}
	c.text(path, v, low, high, pattern)
}

// text checks a member that may be absent; a nil pattern allows everything.
func (c *constraints) text(path string, v *string, low, high int, pattern *regexp.Regexp) {
	if v == nil {
		return
	}
	n := utf8.RuneCountInString(*v)
	switch {
	case n > high:
		c.add(path, "have length less than or equal to %d", high)
	case n < low:
		c.add(path, "have length greater than or equal to %d", low)
	case pattern != nil && !pattern.MatchString(*v):
		c.add(path, "satisfy regular expression pattern: %s", shown(pattern))
	}
}

// shown is the pattern as Firehose prints it, without the anchors that we add.
func shown(p *regexp.Regexp) string {
	return strings.TrimSuffix(strings.TrimPrefix(p.String(), `\A(?:`), `)\z`)
}

// whole compiles a pattern of the service's model, which must match the whole text.
func whole(pattern string) *regexp.Regexp { return regexp.MustCompile(`\A(?:` + pattern + `)\z`) }

func (c *constraints) enum(path string, v *string, legal []string) {
	if v == nil {
		return
	}
	for _, l := range legal {
		if *v == l {
			return
		}
	}
	c.add(path, "satisfy enum value set: [%s]", strings.Join(legal, ", "))
}

func (c *constraints) number(path string, v *int64, low, high int64) {
	switch {
	case v == nil:
	case *v > high:
		c.add(path, "have value less than or equal to %d", high)
	case *v < low:
		c.add(path, "have value greater than or equal to %d", low)
	}
}
