package zz

import (
	_ "github.com/RoaringBitmap/roaring/v2/roaring64"
	_ "github.com/aws/aws-sdk-go-v2/service/glue"
	_ "github.com/itchyny/gojq"
	_ "github.com/parquet-go/parquet-go"
)
