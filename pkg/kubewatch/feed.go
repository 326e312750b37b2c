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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

const (
	// pageSize is how many decoded objects exist at once when the server cannot
	// stream its list. A slice usually has up to 100 endpoints (the API allows
	// 1000), each about 300 octets when decoded.
	pageSize = 250

	// The pause after a failed request grows from retryMin to retryMax. With
	// client-go's own maximum, a new Service could stay unknown for up to a minute
	// after the API server has returned. Few Pods run this program, so shorter
	// pauses do not overload the API server.
	retryMin = 500 * time.Millisecond
	retryMax = 5 * time.Second
	// retryReset is how long a watch must have lasted for the pause to start
	// from retryMin again.
	retryReset = time.Minute
	// putOffMax is the longest delay (Retry-After) that the server may ask for.
	putOffMax = 30 * time.Second
)

// feed lists and watches one source and passes its objects to a store. Lists are
// fetched page by page, and each page is compacted immediately.
type feed[V any] struct {
	src   cache.ListerWatcherWithContext
	store *store[V]
	// health records successes and failures of the requests.
	health *health
	// denied, if not nil, is called with the error when the server forbids or does
	// not know the resource. If the resource has been listed before, denied is
	// called only after this has lasted for patience.
	denied func(error)
}

// run lists and watches until ctx ends.
func (f *feed[V]) run(ctx context.Context) {
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc:  f.list,
		WatchFuncWithContext: f.watch,
	}, f.src)
	// No expected type: the store checks the types of objects.
	reflector := cache.NewReflectorWithOptions(source, nil, f.store, cache.ReflectorOptions{
		Name: f.health.resource, TypeDescription: f.health.resource,
		Backoff: &wait.Backoff{
			Duration: retryMin, Factor: 2, Cap: retryMax, Steps: 10, Jitter: 0.5,
		},
	})
	pause := retryMin
	for ctx.Err() == nil {
		start := time.Now()
		// list and watch have already reported each failed request. The errors
		// left are lists that cannot be decoded.
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
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
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
			// The snapshot that the pages come from has expired: start again and
			// ask for everything in one page.
			all.items, options = nil, metav1.ListOptions{}
			continue
		}
		if err != nil {
			f.failed(ctx, "list", err)
			if f.putOff(ctx, err) {
				continue // keep the pages received so far
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
		if streaming {
			return gather(w, f.store), nil
		}
		f.health.succeeded()
		return w, nil
	}
	if streaming && apierrors.IsInvalid(err) {
		return nil, err // the server cannot stream; the reflector lists instead
	}
	if streaming && apierrors.IsForbidden(err) {
		// Who may list but not watch can still get a list, which reports what it lacks.
		return nil, apierrors.NewInvalid(schema.GroupKind{}, f.health.resource, nil)
	}
	f.failed(ctx, "watch", err)
	f.putOff(ctx, err)
	if streaming && !apierrors.IsResourceExpired(err) && !apierrors.IsTimeout(err) {
		// After a refused connection the reflector sleeps for up to its longest
		// pause and ignores ctx. An error that it does not recognise returns to
		// run instead, whose pause ends with ctx.
		return nil, errors.New(err.Error())
	}
	return nil, err
}

// putOff waits if err says when to try again (Retry-After). It reports whether it
// waited and ctx has not ended.
func (f *feed[V]) putOff(ctx context.Context, err error) bool {
	seconds, ok := apierrors.SuggestsClientDelay(err)
	if !ok {
		return false
	}
	sleep(ctx, min(max(time.Duration(seconds)*time.Second, retryMin), putOffMax))
	return ctx.Err() == nil
}

// failed records err, and calls denied if the server denies the resource.
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
