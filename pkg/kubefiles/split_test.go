package kubefiles

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func TestSplitYAML(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"comments", "# a\n\n # b\n", nil},
		{"one", "a: 1\n", []string{"a: 1\n"}},
		{"no newline", "a: 1", []string{"a: 1"}},
		{"leading marker", "---\na: 1\n", []string{"---\na: 1\n"}},
		{"comment before", "# a\n---\na: 1\n", []string{"---\na: 1\n"}},
		{"directive", "%YAML 1.2\n---\na: 1\n", []string{"---\na: 1\n"}},
		{"two", "a: 1\n---\nb: 1\n", []string{"a: 1\n", "---\nb: 1\n"}},
		{"empty between", "a: 1\n---\n---\nb: 1\n", []string{"a: 1\n", "---\n", "---\nb: 1\n"}},
		{"content on the line", "--- {a: 1}\n--- # c\nb: 1", []string{"--- {a: 1}\n", "--- # c\nb: 1"}},
		{"crlf", "a: 1\r\n---\r\nb: 1\r\n", []string{"a: 1\r\n", "---\r\nb: 1\r\n"}},
		{"end marker", "a: 1\n...\nb: 1\n", []string{"a: 1\n", "b: 1\n"}},
		{"end and start", "a: 1\n...\n---\nb: 1\n", []string{"a: 1\n", "---\nb: 1\n"}},
		{"indented", "a: |\n  ---\n  b\n", []string{"a: |\n  ---\n  b\n"}},
		{"longer", "----\n", []string{"----\n"}},
		{"mark", "\ufeffa: 1", []string{"a: 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, d := range splitYAML([]byte(tt.in)) {
				got = append(got, string(d))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("splitYAML(%q) (-want +got)\n%s", tt.in, diff)
			}
		})
	}
}

func TestSplitJSON(t *testing.T) {
	docs, errs := split([]byte(`{"a":1} null [2] {"b"`), true)
	if len(docs) != 2 || docs[0].number != 1 || docs[1].number != 3 || len(errs) != 1 {
		t.Errorf("docs %v errs %v, want documents 1 and 3 and one error", docs, errs)
	}
}

// FuzzDecode: no input makes the decoder panic; what is accepted has a name
// and a place; and documents written one after another are found again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "---", "a: 1\n---\nb", service("a", "None"), service("a", "::1") + "---\n" + service("b", "x"),
		`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"}}]}`,
		"apiVersion: v1\nkind: List\nitems: [null, 1, {kind: List, apiVersion: v1, items: []}]",
		"apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a}}]",
		"apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\nsubsets: [{addresses: [{ip: 1.2.3.4}], ports: [{port: 1}]}]",
		"&a [*a, *a]", "a: &a\n  <<: *a",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, content []byte, isJSON bool) {
		docs, _ := split(content, isJSON)
		d := newDocumentDecoder()
		for _, doc := range docs {
			d.decodeDocument(position{"f", doc.number, -1}, doc.json, metav1.TypeMeta{})
		}
		arrange(d)
		for _, o := range d.objects {
			if len(d.errs) == 0 && (o.object.GetName() == "" || o.position.document == 0) {
				t.Errorf("object %v at %v", o.object, o.position)
			}
		}
		if len(docs) == 0 || isJSON {
			return
		}
		var joined bytes.Buffer
		for _, doc := range docs {
			text, err := yaml.JSONToYAML(doc.json)
			if err != nil {
				return
			}
			joined.WriteString("---\n")
			joined.Write(text)
		}
		if again, errs := split(joined.Bytes(), false); len(again) != len(docs) || len(errs) > 0 {
			t.Errorf("%d documents, written out and read again %d, %v\n%s", len(docs), len(again), errs, joined.String())
		}
	})
}
