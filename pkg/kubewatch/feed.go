package kubewatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

const (
	// pageSize bounds how many decoded objects exist at once where the server
	// cannot stream its list. A slice has up to 100 endpoints (1000 by the API's
	// limit), about 300 octets each once decoded.
	pageSize = 250

	// The pause after a failed request grows from retryMin to retryMax.
	// client-go's own maximum, up to a minute, is a long time for a new Service
	// to stay unknown after the API server came back; few Pods run this program.
	retryMin = 500 * time.Millisecond
	retryMax = 5 * time.Second
	// retryReset is how long a watch must have lasted for the pause to start
	// from retryMin again.
	retryReset = time.Minute
	// putOffMax bounds how long the server may put a request off.
	putOffMax = 30 * time.Second
)

// feed brings the objects of one source into a store. Lists are fetched page
// by page and compacted at once; its health says how it goes.
type feed[V any] struct {
	src    cache.ListerWatcherWithContext
	store  *store[V]
	health *health
	// denied, when not nil, is called with an error that says that the server
	// forbids or does not know the resource; if it was listed before, only after
	// patience.
	denied func(error)
}

// run lists and watches until ctx ends.
func (f *feed[V]) run(ctx context.Context) {
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc:  f.list,
		WatchFuncWithContext: f.watch,
	}, f.src)
	// Types are the store's business.
	reflector := cache.NewReflectorWithOptions(source, nil, f.store, cache.ReflectorOptions{
		Name: f.health.resource, TypeDescription: f.health.resource,
		Backoff: &wait.Backoff{
			Duration: retryMin, Factor: 2, Cap: retryMax, Steps: 10, Jitter: 0.5,
		},
	})
	pause := retryMin
	for ctx.Err() == nil {
		start := time.Now()
		// Each failed request has been reported by list or watch already; what
		// is left are lists that nobody can understand.
		if err := reflector.ListAndWatchWithContext(ctx); err != nil {
			f.health.failed(ctx, "list", err)
		}
		if time.Since(start) > retryReset {
			pause = retryMin
		}
		sleep(ctx, pause/2+rand.N(pause))
		pause = min(2*pause, retryMax)
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// list fetches every page and returns a batch of items. It asks for the most
// recent state, because at resource version 0, which the reflector would ask
// for, servers ignore the limit and may go back in time.
func (f *feed[V]) list(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	all := &batch[V]{ObjectMeta: f.store.empty}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := f.src.ListWithContext(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			// The snapshot that the pages come from is too old: once more, whole.
			all.items, options = nil, metav1.ListOptions{}
			continue
		}
		if err != nil {
			f.failed(ctx, "list", err)
			if f.putOff(ctx, err) {
				continue // the pages before it are not lost
			}
			return nil, err
		}
		listMeta, err := meta.ListAccessor(page)
		if err != nil {
			return nil, err
		}
		err = meta.EachListItem(page, func(obj runtime.Object) error {
			item, err := f.store.compact(obj)
			if err == nil {
				all.items = append(all.items, item)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		options.Continue = listMeta.GetContinue()
		if options.Continue == "" {
			return &metainternalversion.List{
				ListMeta: metav1.ListMeta{ResourceVersion: listMeta.GetResourceVersion()},
				Items:    []runtime.Object{all},
			}, nil
		}
	}
}

// watch opens a watch or, when options ask for it, a streamed list.
func (f *feed[V]) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	w, err := f.src.WatchWithContext(ctx, options)
	streaming := options.SendInitialEvents != nil && *options.SendInitialEvents
	if err == nil {
		f.health.succeeded()
		if streaming {
			w = gather(w, f.store)
		}
		return w, nil
	}
	if streaming && apierrors.IsInvalid(err) {
		return nil, err // a server that cannot stream; the reflector lists instead
	}
	f.failed(ctx, "watch", err)
	f.putOff(ctx, err)
	if streaming && !apierrors.IsResourceExpired(err) && !apierrors.IsTimeout(err) {
		// The reflector sleeps on a refused connection without heeding ctx, for
		// as long as its longest pause. An error that it does not recognise goes
		// back to run, whose pause ends with ctx.
		return nil, errors.New(err.Error())
	}
	return nil, err
}

// putOff waits if err is the server's wish that the request be made later, and
// reports whether it was and ctx goes on.
func (f *feed[V]) putOff(ctx context.Context, err error) bool {
	seconds, ok := apierrors.SuggestsClientDelay(err)
	if !ok {
		return false
	}
	sleep(ctx, min(max(time.Duration(seconds)*time.Second, retryMin), putOffMax))
	return ctx.Err() == nil
}

// failed reports err, and that the source is denied when it is.
func (f *feed[V]) failed(ctx context.Context, verb string, err error) {
	f.health.failed(ctx, verb, err)
	if f.denied != nil && denied(err) && f.health.lost(patience) {
		f.denied(err)
	}
}

// denied reports whether err says that the server forbids or does not know
// the resource.
func denied(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err)
}
