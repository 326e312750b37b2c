package kubefiles

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Errors about values of the wrong type name the object, the field and the right type, and not
// the types of Go.
func TestWrongTypes(t *testing.T) {
	const head = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\n"
	for text, want := range map[string]string{
		head + "spec: {clusterIP: 5}":                "Service b/a: spec.clusterIP is a number; want a string (in quotes",
		head + "spec: {clusterIP: true}":             "Service b/a: spec.clusterIP is true or false; want a string (in quotes",
		head + "spec: {ports: x}":                    "Service b/a: spec.ports is a string; want a list",
		head + "spec: []":                            "Service b/a: spec is a list; want an object",
		head + `spec: {ports: [{port: "80"}]}`:       "Service b/a: spec.ports.port is a string; want a whole number of at most 32 bits",
		head + "spec: {ports: [{port: 4294967296}]}": "Service b/a: spec.ports.port is the number 4294967296; want a whole number",
		head + "spec: {ports: {port: 1}}":            "Service b/a: spec.ports is an object; want a list",
		head + "spec: {publishNotReadyAddresses: x}": "Service b/a: spec.publishNotReadyAddresses is a string; want true or false",
		"apiVersion: v1\nkind: Service\nmetadata: x": "Service: metadata is a string; want an object",
		"apiVersion: v1\nkind: [Service]":            "document 1: kind is a list; want a string",
		"apiVersion: 1\nkind: Service":               "document 1: apiVersion is a number; want a string",
		"- a":                                        "document 1: the document is a list; want an object",
		"a":                                          "document 1: the document is a string; want an object",
		"apiVersion: v1\nkind: List\nitems: {}":      "document 1: items is an object; want a list",
		"apiVersion: v1\nkind: List\nitems: [7]":     "document 1: items[0]: the document is a number; want an object",
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, namespace: b}\nendpoints: [{addresses: 10.0.0.1}]": "EndpointSlice b/s: endpoints.addresses is a string; want a list",
		"apiVersion: multicluster.x-k8s.io/v1beta1\nkind: ServiceImport\nmetadata: {name: s, namespace: b}\nspec: {ips: 10.0.0.1}":    "ServiceImport s: spec: ips is a string; want a list",
	} {
		path := filepath.Join(t.TempDir(), "x.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Config{Path: path})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "Go ") || strings.Contains(err.Error(), "unmarshal") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
