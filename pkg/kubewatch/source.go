package kubewatch

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// Sources says where the objects come from: an API server (APISources) or
// files (package kubefiles). The methods of every member must be safe for
// concurrent use.
type Sources struct {
	// Services lists core/v1 Services of all namespaces. It must not be nil.
	Services cache.ListerWatcherWithContext

	// Slices lists discovery.k8s.io/v1 EndpointSlices of all namespaces. It
	// must not be nil.
	Slices cache.ListerWatcherWithContext

	// Endpoints lists core/v1 Endpoints of all namespaces. It is used only
	// while Slices is forbidden or unknown to the server. Nil means that there
	// is no fallback.
	Endpoints cache.ListerWatcherWithContext

	// Imports list ServiceImports (multicluster.x-k8s.io) of all namespaces, one
	// source for each version of the API: the first that the server knows is used.
	// Only a Watcher with a ClusterSet reads them.
	Imports []cache.ListerWatcherWithContext

	// Nodes lists core/v1 Nodes. Only FindLocation reads it.
	Nodes cache.ListerWatcherWithContext

	// ConfigMap returns a source of one core/v1 ConfigMap. Only a
	// ConfigMapWatcher reads it.
	ConfigMap func(namespace, name string) cache.ListerWatcherWithContext
}

// RESTConfig returns the address and credentials of the API server. If kubeconfig
// and masterURL are empty, these are the ones of the Pod's service account.
// Otherwise they come from the file kubeconfig (the default location and the
// environment are ignored); masterURL, if not empty, overrides its server.
// userAgent is sent with every request.
func RESTConfig(kubeconfig, masterURL, userAgent string) (*rest.Config, error) {
	var cfg *rest.Config
	var err error
	if kubeconfig == "" && masterURL == "" {
		cfg, err = rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("no API server is configured: the program is not running in a Pod (KUBERNETES_SERVICE_HOST is not set), and neither --kubecfg-file nor --kube-master-url is given")
		}
	} else {
		cfg, err = clientcmd.BuildConfigFromFlags(masterURL, kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the API server's address and credentials: %w", err)
	}
	cfg.UserAgent = userAgent
	return cfg, nil
}

// APISources returns sources that read from the API server of cfg. It does not
// connect, and does not change cfg. Only a Watcher can use what Services and Slices
// deliver: of objects in protobuf, they deliver the compact form.
//
// The client knows only the few types above. client-go's generated clientset would
// more than double the size of the binary.
func APISources(cfg *rest.Config) (Sources, error) {
	decoder := newDecoder()
	core, err := restClient(cfg, decoder, corev1.SchemeGroupVersion, "/api")
	if err != nil {
		return Sources{}, err
	}
	discovery, err := restClient(cfg, decoder, discoveryv1.SchemeGroupVersion, "/apis")
	if err != nil {
		return Sources{}, err
	}
	var imports []cache.ListerWatcherWithContext
	for _, version := range serviceimport.Versions() {
		gv := schema.GroupVersion{Group: serviceimport.Group, Version: version}
		client, err := restClient(jsonOnly(cfg), decoder, gv, "/apis")
		if err != nil {
			return Sources{}, err
		}
		imports = append(imports, listWatch(client, metav1.NamespaceAll, serviceimport.Resource, ""))
	}
	all := func(client rest.Interface, resource string) cache.ListerWatcherWithContext {
		return listWatch(client, metav1.NamespaceAll, resource, "")
	}
	return Sources{
		Services:  all(core, "services"),
		Slices:    all(discovery, "endpointslices"),
		Endpoints: all(core, "endpoints"),
		Imports:   imports,
		Nodes:     all(core, "nodes"),
		ConfigMap: func(namespace, name string) cache.ListerWatcherWithContext {
			return listWatch(core, namespace, "configmaps", fields.OneTermEqualSelector(metav1.ObjectNameField, name).String())
		},
	}, nil
}

// listWatch returns a source of the objects of one resource that match the field
// selector. Requests that the server wants later (Retry-After) fail at once:
// client-go would wait and repeat them up to ten times on its own, and meanwhile
// the failure would not be visible.
func listWatch(client rest.Interface, namespace, resource, selector string) cache.ListerWatcherWithContext {
	request := func(options metav1.ListOptions) *rest.Request {
		options.FieldSelector = selector
		return client.Get().Namespace(namespace).Resource(resource).VersionedParams(&options, metav1.ParameterCodec).MaxRetries(0)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return request(options).Do(ctx).Get()
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			return request(options).Watch(ctx)
		},
	}
}

// jsonOnly returns cfg for custom resources, which have no protobuf.
func jsonOnly(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType, cfg.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return cfg
}

// restClient returns a client for one API group that prefers protobuf.
func restClient(cfg *rest.Config, decoder *decoder, gv schema.GroupVersion, apiPath string) (rest.Interface, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.GroupVersion = &gv
	cfg.APIPath = apiPath
	cfg.NegotiatedSerializer = compactFactory{serializer.NewCodecFactory(newScheme()).WithoutConversion(), decoder}
	// The server warns that Endpoints are deprecated. They are read only if
	// EndpointSlices cannot be, and then the Watcher logs a warning itself.
	cfg.WarningHandler = rest.NoWarnings{}
	if cfg.ContentType == "" {
		cfg.ContentType = runtime.ContentTypeProtobuf
		cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	}
	if cfg.QPS == 0 {
		// A paged list of a large cluster takes a hundred requests in a row;
		// client-go's default of five a second would make that 20 s.
		cfg.QPS, cfg.Burst = 50, 100
	}
	client, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", gv, err)
	}
	return client, nil
}

// newScheme returns a scheme of the types that Sources reads and no others.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(
		corev1.SchemeGroupVersion,
		&corev1.Service{}, &corev1.ServiceList{},
		&corev1.Endpoints{}, &corev1.EndpointsList{}, //nolint:staticcheck // the fallback for servers without EndpointSlices
		&corev1.Node{}, &corev1.NodeList{},
		&corev1.ConfigMap{}, &corev1.ConfigMapList{},
	)
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	scheme.AddKnownTypes(
		discoveryv1.SchemeGroupVersion,
		&discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSliceList{},
	)
	metav1.AddToGroupVersion(scheme, discoveryv1.SchemeGroupVersion)
	serviceimport.AddToScheme(scheme)
	return scheme
}
