package kubewatch

import (
	"context"
	"log/slog"
	"maps"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// ConfigMapState is what one ConfigMap holds at one time.
type ConfigMapState struct {
	// Found is false when there is no such ConfigMap; the rest is empty then.
	Found bool
	// Data holds the text values. The receiver owns it.
	Data map[string]string
	// Version is the object's resource version.
	Version string
}

// ConfigMapWatcher watches one ConfigMap by name. It needs permission to list and
// watch configmaps of that name.
type ConfigMapWatcher struct {
	namespace, name string
	feed            *feed[ConfigMapState]
	changed         func(ConfigMapState)

	mu        sync.Mutex
	delivered bool
	last      ConfigMapState
}

// NewConfigMapWatcher returns a watcher of the ConfigMap name in namespace,
// read from sources.ConfigMap. changed is called from Run's goroutines, one
// call at a time: first with the state found, then whenever it differs from
// the last one delivered. It must not block for long.
func NewConfigMapWatcher(sources Sources, namespace, name string, log *slog.Logger, changed func(ConfigMapState)) *ConfigMapWatcher {
	w := &ConfigMapWatcher{namespace: namespace, name: name, changed: changed}
	w.feed = newFeed[ConfigMapState](sources.ConfigMap(namespace, name), newHealth("configmaps", log), convertConfigMap, w)
	return w
}

// Run watches until ctx ends. It always returns nil. While the API server cannot
// be reached, the last state remains in effect.
func (w *ConfigMapWatcher) Run(ctx context.Context) error {
	w.feed.run(ctx)
	return nil
}

// Status describes the watch of the ConfigMap.
func (w *ConfigMapWatcher) Status() ResourceStatus { return w.feed.health.status() }

// Export adds the status of c's watch to the metrics of w.
func (w *Watcher) Export(c *ConfigMapWatcher) { w.configMap.Store(c) }

func convertConfigMap(obj any) conversion[ConfigMapState] {
	m, ok := obj.(*corev1.ConfigMap)
	if !ok {
		return conversion[ConfigMapState]{}
	}
	return conversion[ConfigMapState]{ConfigMapState{Found: true, Data: m.Data, Version: m.ResourceVersion}, true, true}
}

// shareKept implements sink.
func (w *ConfigMapWatcher) shareKept(_ key, value ConfigMapState) ConfigMapState { return value }

// set implements sink. Sources that do not know field selectors deliver other
// ConfigMaps too.
func (w *ConfigMapWatcher) set(it *item[ConfigMapState]) {
	if it.key == (key{w.namespace, w.name}) {
		w.deliver(it.value)
	}
}

// remove implements sink.
func (w *ConfigMapWatcher) remove(k key) {
	if k == (key{w.namespace, w.name}) {
		w.deliver(ConfigMapState{})
	}
}

// replace implements sink.
func (w *ConfigMapWatcher) replace(items []*item[ConfigMapState]) {
	s := ConfigMapState{}
	for _, it := range items {
		if it.key == (key{w.namespace, w.name}) {
			s = ConfigMapState{} // deleted, unless the item is kept
			if it.kept {
				s = it.value
			}
		}
	}
	w.deliver(s)
}

func (w *ConfigMapWatcher) deliver(s ConfigMapState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.delivered && s.Found == w.last.Found && maps.Equal(s.Data, w.last.Data) {
		return
	}
	w.delivered, w.last = true, s
	s.Data = maps.Clone(s.Data)
	w.changed(s)
}

var (
	_ sink[ConfigMapState] = (*ConfigMapWatcher)(nil)
	_ cache.ReflectorStore = (*store[ConfigMapState])(nil)
)
