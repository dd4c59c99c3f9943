package glue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"hydrant/config/schema"
	"hydrant/internal/gluetable"
)

// columns asks a catalog that answers with the columns given.
func columns(t *testing.T, status int, answer string) ([]schema.Column, error) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer s.Close()
	c, err := New(context.Background(), Options{Region: "eu-west-1", Endpoint: s.URL, Database: "lake", Table: "events",
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Columns(context.Background())
}

func table(cols string) string {
	return `{"Table":{"Name":"events","StorageDescriptor":{"Columns":[` + cols + `]},"PartitionKeys":[{"Name":"day","Type":"date"}]}}`
}

func TestColumns(t *testing.T) {
	got, err := columns(t, 200, table(`{"Name":"id","Type":"bigint"},{"Name":"o","Type":"struct<Price:decimal(10,2),tags:array<varchar(9)>>"}`))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := schema.Marshal(got)
	if want := `[{"Name":"id","Type":"bigint"},{"Name":"o","Type":"struct<Price:decimal(10,2),tags:array<string>>"}]`; string(text) != want {
		t.Errorf("got %s", text)
	}
}

func TestErrorsNameTheColumn(t *testing.T) {
	for cols, want := range map[string]string{
		`{"Name":"id","Type":"bigint"},{"Name":"u","Type":"uniontype<int,string>"}`: `glue table lake.events: column "u": type "uniontype<int,string>", at byte 0`,
		`{"Name":"id"}`: `column "id": type ""`,
		`{"Name":"id","Type":"int"},{"Name":"id","Type":"int"}`: `column "id" stands there twice`,
		`{"Type":"int"}`: "has no name",
	} {
		_, err := columns(t, 200, table(cols))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", cols, err, want)
		}
	}
	_, err := columns(t, 400, `{"__type":"EntityNotFoundException","Message":"Table events not found."}`)
	var ge *gluetable.Error
	if !errors.As(err, &ge) || ge.Reason != gluetable.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestNewWantsATable(t *testing.T) {
	if _, err := New(context.Background(), Options{}); err == nil {
		t.Error("taken")
	}
}
