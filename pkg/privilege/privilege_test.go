package privilege

import (
	"os"
	"testing"
)

func TestChoose(t *testing.T) {
	root := os.Geteuid() == 0
	for _, tt := range []struct {
		user, group string
		stay        bool
		want        Identity
		err         string
	}{
		{want: Identity{UID: 65534, GID: 65534, Change: root}},
		{user: "root", want: Identity{GID: 0, Asked: true, Change: root && os.Getegid() != 0}},
		{user: "123456", want: Identity{UID: 123456, GID: 123456, Asked: true, Change: root}},
		{user: "123456", group: "77777", want: Identity{UID: 123456, GID: 77777, Asked: true, Change: root}},
		{group: "root", want: Identity{UID: 65534, Asked: true, Change: root}},
		{stay: true, want: Identity{UID: 65534, GID: 65534}},
		{user: "no-such-user", err: "unknown user or group: no-such-user"},
		{group: "no-such-group", err: "unknown user or group: no-such-group"},
		{user: "-1", err: "unknown user or group: -1"},
	} {
		got, err := Choose(tt.user, tt.group, tt.stay)
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("user %q group %q: error %v, want %s", tt.user, tt.group, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("user %q group %q: %+v, %v; want %+v", tt.user, tt.group, got, err, tt.want)
		}
	}
}
