package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/spf13/cobra"
)

// maxPages bounds a listing: far more streams than a daemon can hold, in case the answers never end.
const maxPages = 10_000

func newStreams() *cobra.Command {
	var at endpointFlag
	var names bool
	cmd := &cobra.Command{
		Use:   "streams",
		Short: "List the streams of a running Hydrant",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, endpoint, err := at.client(cmd.Context())
			if err != nil {
				return err
			}
			all, err := listStreams(cmd.Context(), c)
			if err != nil {
				return explain(endpoint, err)
			}
			if names {
				return printNames(cmd.OutOrStdout(), all)
			}
			if err := printStreams(cmd.Context(), c, cmd.OutOrStdout(), all); err != nil {
				return explain(endpoint, err)
			}
			return nil
		},
	}
	at.add(cmd)
	cmd.Flags().BoolVarP(&names, "names", "q", false, "only names, one a line")
	return cmd
}

// listStreams returns all names.
func listStreams(ctx context.Context, c *firehose.Client) ([]string, error) {
	var all []string
	for range maxPages {
		in := &firehose.ListDeliveryStreamsInput{Limit: aws.Int32(10_000)}
		if len(all) > 0 {
			in.ExclusiveStartDeliveryStreamName = &all[len(all)-1]
		}
		page, err := c.ListDeliveryStreams(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, page.DeliveryStreamNames...)
		if !aws.ToBool(page.HasMoreDeliveryStreams) || len(page.DeliveryStreamNames) == 0 {
			return all, nil
		}
	}
	return nil, fmt.Errorf("the listing does not end after %d pages", maxPages)
}

func printNames(w io.Writer, names []string) error {
	for _, n := range names {
		if _, err := fmt.Fprintln(w, n); err != nil {
			return err
		}
	}
	return nil
}

func printStreams(ctx context.Context, c *firehose.Client, w io.Writer, names []string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATUS\tVERSION\tDESTINATION")
	for _, n := range names {
		d, err := describeStream(ctx, c, n)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", n, d.DeliveryStreamStatus, aws.ToString(d.VersionId), destinationText(d.Destinations))
	}
	return t.Flush()
}

// destinationText is where a stream's objects go, "-" when it is not one of those this build knows.
func destinationText(all []types.DestinationDescription) string {
	for _, d := range all {
		if e := d.ExtendedS3DestinationDescription; e != nil {
			_, bucket, _ := strings.Cut(aws.ToString(e.BucketARN), ":::")
			return "s3://" + bucket + "/" + aws.ToString(e.Prefix)
		}
	}
	return "-"
}

func describeStream(ctx context.Context, c *firehose.Client, name string) (*types.DeliveryStreamDescription, error) {
	out, err := c.DescribeDeliveryStream(ctx, &firehose.DescribeDeliveryStreamInput{DeliveryStreamName: &name})
	if err != nil {
		return nil, err
	}
	if out.DeliveryStreamDescription == nil {
		return nil, fmt.Errorf("the answer does not describe stream %s; is this a Firehose API?", name)
	}
	return out.DeliveryStreamDescription, nil
}

func newDescribe() *cobra.Command {
	var at endpointFlag
	cmd := &cobra.Command{
		Use:   "describe STREAM",
		Short: "Print a stream's description as JSON",
		Args:  argsNamed(1, 1, "STREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, endpoint, err := at.client(cmd.Context())
			if err != nil {
				return err
			}
			d, err := describeStream(cmd.Context(), c, args[0])
			if err != nil {
				return explain(endpoint, err)
			}
			return printJSON(cmd.OutOrStdout(), d)
		},
	}
	at.add(cmd)
	return cmd
}

// printJSON writes v indented, without the members that say nothing: null or empty.
func printJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(withoutBlanks(tree))
}

func withoutBlanks(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, one := range v {
			if one == nil || one == "" {
				delete(v, k)
				continue
			}
			v[k] = withoutBlanks(one)
		}
	case []any:
		for i := range v {
			v[i] = withoutBlanks(v[i])
		}
	}
	return v
}
