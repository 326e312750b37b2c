package pages

import (
	"fmt"
	"time"

	"github.com/kube-dns/kube-dns/pkg/kubewatch"
)

// DescribeResource describes the state of the watch of a resource in one line.
func DescribeResource(r *kubewatch.ResourceStatus) string {
	state := "connected"
	if !r.Connected {
		state = "not connected"
	}
	line := fmt.Sprintf("%s: %s for %s", r.Resource, state, time.Since(r.Since).Round(time.Second))
	if r.LastError != "" {
		line += ": " + r.LastError
	}
	return line
}

// DescribeClusterSet describes the content of the clusterset zone in one line.
func DescribeClusterSet(c *kubewatch.ClusterSetStatus) string {
	line := fmt.Sprintf("clusterset: %d imports, %d slices, %d endpoints", c.Imports, c.Slices, c.Endpoints)
	switch {
	case c.Absent:
		line += "; the cluster has no ServiceImports (CustomResourceDefinition not found)"
	case !c.Synced:
		line += "; not loaded yet, its names are answered with SERVFAIL"
	}
	return line
}
