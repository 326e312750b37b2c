// Package mcs is a small stand-in for the controllers of the Multi-Cluster Services
// API (KEP-1645), for tests on one cluster: it treats that cluster as the only member
// of its cluster set. Use [Run] while a test asks for names in clusterset.local.
//
// For each ServiceExport it keeps a ServiceImport of the same name: with the Service's
// cluster IPs, or, for a headless Service, with copies of its EndpointSlices that have the
// labels of the API. Both are deleted with the export. Conflicts between exports, conditions
// and derived Services do not affect names, and are left out.
package mcs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// ClusterID is the name of the one cluster in its cluster set.
const ClusterID = "cluster-1"

const (
	managedBy = "mcs-standin.kube-dns.test"
	interval  = 200 * time.Millisecond
)

// group is the API group and version of imports and exports.
const group = serviceimport.Group + "/v1beta1"

// serviceImport has the fields of a ServiceImport that names depend on.
type serviceImport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              importSpec `json:"spec"`
}

type importSpec struct {
	Type       string            `json:"type"`
	IPs        []string          `json:"ips,omitempty"`
	IPFamilies []corev1.IPFamily `json:"ipFamilies,omitempty"`
	Ports      []importPort      `json:"ports"`
}

type importPort struct {
	Name     string          `json:"name,omitempty"`
	Protocol corev1.Protocol `json:"protocol,omitempty"`
	Port     int32           `json:"port"`
}

// listOf is a list of T as the API server sends it.
type listOf[T any] struct {
	Items []T `json:"items"`
}

var errNotFound = errors.New("not found")

// client sends JSON to the API server.
type client struct {
	http *http.Client
	host string
}

// call sends in, if it is not nil, and decodes the answer into out, if that is not nil.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, c.host+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %s: %w", method, path, errNotFound)
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

// Run follows the cluster's exports until ctx ends. It passes each failure to report, and
// continues.
func Run(ctx context.Context, config *rest.Config, report func(error)) error {
	over, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	c := &client{http: over, host: strings.TrimSuffix(config.Host, "/")}
	for ctx.Err() == nil {
		if err := c.sync(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(interval):
		}
	}
	return nil
}

const (
	allImports = "/apis/" + group + "/serviceimports"
	allExports = "/apis/" + group + "/serviceexports"
	allSlices  = "/apis/discovery.k8s.io/v1/endpointslices"
)

func importsOf(namespace string) string {
	return "/apis/" + group + "/namespaces/" + namespace + "/serviceimports"
}

func slicesOf(namespace string) string {
	return "/apis/discovery.k8s.io/v1/namespaces/" + namespace + "/endpointslices"
}

// sync creates, changes and deletes imports and slices as the exports require.
func (c *client) sync(ctx context.Context) error {
	var exports listOf[struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}]
	if err := c.call(ctx, http.MethodGet, allExports, nil, &exports); err != nil {
		return err
	}
	imports, slices := map[string]bool{}, map[string]bool{} // by path: what is wanted
	var failed []error
	for _, export := range exports.Items {
		var service corev1.Service
		err := c.call(ctx, http.MethodGet, "/api/v1/namespaces/"+export.Metadata.Namespace+"/services/"+export.Metadata.Name, nil, &service)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err == nil {
			imports[importsOf(service.Namespace)+"/"+service.Name] = true
			err = errors.Join(c.putImport(ctx, &service), c.putSlices(ctx, &service, slices))
		}
		failed = append(failed, err)
	}
	return errors.Join(append(failed, c.clean(ctx, imports, slices))...)
}

// importOf returns the spec of the ServiceImport for a Service.
func importOf(service *corev1.Service) importSpec {
	spec := importSpec{Type: serviceimport.ClusterSetIP, IPs: service.Spec.ClusterIPs, IPFamilies: service.Spec.IPFamilies}
	if service.Spec.ClusterIP == corev1.ClusterIPNone {
		spec.Type, spec.IPs = serviceimport.Headless, nil
	}
	for _, p := range service.Spec.Ports {
		spec.Ports = append(spec.Ports, importPort{p.Name, p.Protocol, p.Port})
	}
	return spec
}

func (c *client) putImport(ctx context.Context, service *corev1.Service) error {
	path, want := importsOf(service.Namespace), importOf(service)
	var have serviceImport
	err := c.call(ctx, http.MethodGet, path+"/"+service.Name, nil, &have)
	switch {
	case errors.Is(err, errNotFound):
		return c.call(ctx, http.MethodPost, path, &serviceImport{
			TypeMeta:   metav1.TypeMeta{APIVersion: group, Kind: "ServiceImport"},
			ObjectMeta: metav1.ObjectMeta{Name: service.Name, Namespace: service.Namespace}, Spec: want,
		}, nil)
	case err == nil && !reflect.DeepEqual(have.Spec, want):
		have.Spec = want
		return c.call(ctx, http.MethodPut, path+"/"+service.Name, &have, nil)
	}
	return err
}

// putSlices copies the EndpointSlices of a headless Service and adds their paths to
// wanted.
func (c *client) putSlices(ctx context.Context, service *corev1.Service, wanted map[string]bool) error {
	if service.Spec.ClusterIP != corev1.ClusterIPNone {
		return nil
	}
	path := slicesOf(service.Namespace)
	var list listOf[discoveryv1.EndpointSlice]
	if err := c.call(ctx, http.MethodGet, path+"?labelSelector="+discoveryv1.LabelServiceName+"%3D"+service.Name, nil, &list); err != nil {
		return err
	}
	var failed []error
	for _, s := range list.Items {
		name := s.Name + "-import"
		wanted[path+"/"+name] = true
		var have discoveryv1.EndpointSlice
		err := c.call(ctx, http.MethodGet, path+"/"+name, nil, &have)
		switch {
		case errors.Is(err, errNotFound):
			err = c.call(ctx, http.MethodPost, path, &discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{
					Name:   name,
					Labels: map[string]string{serviceimport.LabelServiceName: service.Name, serviceimport.LabelSourceCluster: ClusterID, discoveryv1.LabelManagedBy: managedBy},
				},
				AddressType: s.AddressType, Ports: s.Ports, Endpoints: s.Endpoints,
			}, nil)
		case err == nil && (!reflect.DeepEqual(have.Endpoints, s.Endpoints) || !reflect.DeepEqual(have.Ports, s.Ports)):
			have.Endpoints, have.Ports = s.Endpoints, s.Ports
			err = c.call(ctx, http.MethodPut, path+"/"+name, &have, nil)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// clean removes the imports and slices that no export requires any more.
func (c *client) clean(ctx context.Context, imports, slices map[string]bool) error {
	var haveImports listOf[serviceImport]
	var haveSlices listOf[discoveryv1.EndpointSlice]
	err := errors.Join(
		c.call(ctx, http.MethodGet, allImports, nil, &haveImports),
		c.call(ctx, http.MethodGet, allSlices+"?labelSelector="+discoveryv1.LabelManagedBy+"%3D"+managedBy, nil, &haveSlices),
	)
	if err != nil {
		return err
	}
	var stray []string
	for _, i := range haveImports.Items {
		if path := importsOf(i.Namespace) + "/" + i.Name; !imports[path] {
			stray = append(stray, path)
		}
	}
	for _, s := range haveSlices.Items {
		if path := slicesOf(s.Namespace) + "/" + s.Name; !slices[path] {
			stray = append(stray, path)
		}
	}
	var failed []error
	for _, path := range stray {
		if err := c.call(ctx, http.MethodDelete, path, nil, nil); !errors.Is(err, errNotFound) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
