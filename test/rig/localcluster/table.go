package localcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Table returns what "kubectl get" prints of a resource, such as "pods", of all namespaces that it is in: the API server
// makes the table, kubectl only aligns it.
func (c *Cluster) Table(ctx context.Context, path string) (string, error) {
	body, err := c.clientset.RESTClient().Get().AbsPath(path).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	if err != nil {
		return "", err
	}
	var table metav1.Table
	if err := json.Unmarshal(body, &table); err != nil {
		return "", err
	}
	var text bytes.Buffer
	out := tabwriter.NewWriter(&text, 0, 8, 3, ' ', 0)
	var columns []int
	header := []string{"NAMESPACE"}
	for i, column := range table.ColumnDefinitions {
		// The others are what "-o wide" adds.
		if column.Priority == 0 {
			columns, header = append(columns, i), append(header, strings.ToUpper(column.Name))
		}
	}
	_, _ = fmt.Fprintln(out, strings.Join(header, "\t"))
	for _, row := range table.Rows {
		var object metav1.PartialObjectMetadata
		if err := json.Unmarshal(row.Object.Raw, &object); err != nil {
			return "", err
		}
		cells := []string{object.Namespace}
		for _, i := range columns {
			cells = append(cells, fmt.Sprint(row.Cells[i]))
		}
		_, _ = fmt.Fprintln(out, strings.Join(cells, "\t"))
	}
	err = out.Flush()
	return text.String(), err
}
