package kubefiles

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// fill returns Services named by number with an address each.
func fill(ips map[int]string) map[id]object {
	out := map[id]object{}
	for n, ip := range ips {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: fmt.Sprint(n)}, Spec: corev1.ServiceSpec{ClusterIP: ip}}
		out[id{"d", s.Name}] = s
	}
	return out
}

// Whoever lists at any time and follows the watch from there ends with the
// last state.
func TestWatchFollowsRandomChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		table := newObjectTable()
		table.replace(1, fill(nil))
		v := tableView{table: table}
		type follower struct {
			seen map[string]string
			from int
		}
		var followers []*follower
		ctx, cancel := context.WithCancel(t.Context())
		want := map[int]string{}
		for version := 2; version < 200; version++ {
			for range 1 + rng.IntN(3) {
				if n := rng.IntN(8); rng.IntN(3) == 0 {
					delete(want, n)
				} else {
					want[n] = fmt.Sprint(rng.IntN(4))
				}
			}
			table.replace(uint64(version), fill(want))
			if version%20 != 0 {
				continue
			}
			f := &follower{seen: map[string]string{}, from: version}
			followers = append(followers, f)
			listed, err := v.ListWithContext(ctx, metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_ = meta.EachListItem(listed, func(o runtime.Object) error {
				s := o.(*corev1.Service)
				f.seen[s.Name] = s.Spec.ClusterIP
				return nil
			})
			list, _ := meta.ListAccessor(listed)
			w, err := v.WatchWithContext(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for e := range w.ResultChan() {
					s := e.Object.(*corev1.Service)
					_, had := f.seen[s.Name]
					if had == (e.Type == watch.Added) {
						t.Errorf("event %s for %s, known before: %t", e.Type, s.Name, had)
					}
					if e.Type == watch.Deleted {
						delete(f.seen, s.Name)
					} else {
						f.seen[s.Name] = s.Spec.ClusterIP
					}
				}
			}()
		}
		synctest.Wait()
		final := map[string]string{}
		for n, ip := range want {
			final[fmt.Sprint(n)] = ip
		}
		for _, f := range followers {
			if !maps.Equal(final, f.seen) {
				t.Errorf("follower from version %d: %s", f.from, cmp.Diff(final, f.seen))
			}
		}
		cancel()
	})
}

func TestWatchExpires(t *testing.T) {
	table := newObjectTable()
	for version := range maxEvents + 10 {
		table.replace(uint64(version+1), fill(map[int]string{0: fmt.Sprint(version)}))
	}
	_, err := tableView{table: table}.WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: "3"})
	if !apierrors.IsResourceExpired(err) {
		t.Errorf("watch from a forgotten version: %v, want expired", err)
	}
	for _, version := range []string{"", "x"} {
		if _, err := (tableView{table: table}).WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: version}); !apierrors.IsBadRequest(err) {
			t.Errorf("watch from %q: %v, want bad request", version, err)
		}
	}
}

func TestOneObject(t *testing.T) {
	table := newObjectTable()
	table.replace(1, fill(map[int]string{1: "a", 2: "b"}))
	got, err := tableView{table: table, only: id{"d", "2"}}.ListWithContext(t.Context(), metav1.ListOptions{})
	if err != nil || meta.LenList(got) != 1 {
		t.Errorf("%d objects, %v; want 1", meta.LenList(got), err)
	}
}

func TestWatchEndsWithTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newObjectTable()
		seconds := int64(5)
		w, err := tableView{table: table}.WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: "0", TimeoutSeconds: &seconds})
		if err != nil {
			t.Fatal(err)
		}
		if _, open := <-w.ResultChan(); open {
			t.Error("an event came from nowhere")
		}
	})
}
