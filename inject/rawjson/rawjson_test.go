package rawjson

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, text string) Value {
	t.Helper()
	var d Document
	v, err := d.Parse(text)
	require.NoError(t, err)
	return v
}

func TestLookUps(t *testing.T) {
	root := parse(t, ` {"a":{"b":[1, "two", {"c":null}]}, "e\u0073c":"x\ty", "n":9007199254740993.10, "t":true} `)
	require.Equal(t, Object, root.Kind())
	require.Equal(t, 4, root.Len())

	list := root.Get("a").Get("b")
	require.Equal(t, 3, list.Len())
	var kinds []Kind
	for i, v := range list.Elements() {
		require.Equal(t, i, len(kinds))
		kinds = append(kinds, v.Kind())
	}
	require.Equal(t, []Kind{Number, String, Object}, kinds)

	s, ok := root.Get("esc").Str()
	require.True(t, ok, "an escaped member name is found by what it says")
	require.Equal(t, "x\ty", s)
	require.Equal(t, "9007199254740993.10", root.Get("n").Text(), "a number keeps its token")
	_, ok = root.Get("n").Int64()
	require.False(t, ok)
	yes, ok := root.Get("t").Bool()
	require.True(t, yes && ok)

	require.Equal(t, Missing, root.Get("no").Get("such").Kind())
	require.Empty(t, root.Get("no").Text())
	require.Zero(t, root.Get("no").Len())
}

func TestPathFrom(t *testing.T) {
	root := parse(t, `{"spec":{"containers":[{"name":"a"},{"env":[{"na/me":1}]}]}}`)
	spec := root.Get("spec")
	var deep Value
	for _, c := range spec.Get("containers").Elements() {
		for _, e := range c.Get("env").Elements() {
			deep = e.Get("na/me")
		}
	}
	require.Equal(t, `spec.containers[1].env[0]["na/me"]`, deep.PathFrom(root))
	require.Equal(t, `containers[1].env[0]["na/me"]`, deep.PathFrom(spec))
	require.Empty(t, root.PathFrom(spec), "not in it")
}

func TestManagedFieldsAreCheckedButNotIndexed(t *testing.T) {
	root := parse(t, `{"metadata":{"managedFields":[{"a":{"b":1}}],"name":"x"}}`)
	require.Equal(t, Array, root.Get("metadata").Get("managedFields").Kind())
	require.Zero(t, root.Get("metadata").Get("managedFields").Len())
	require.Equal(t, `[{"a":{"b":1}}]`, root.Get("metadata").Get("managedFields").Text())
	name, _ := root.Get("metadata").Get("name").Str()
	require.Equal(t, "x", name)

	var d Document
	_, err := d.Parse(`{"metadata":{"managedFields":[{"a":tru}]}}`)
	require.ErrorContains(t, err, "metadata.managedFields[0].a")
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"empty":               {``, "ends where a value is expected"},
		"truncated object":    {`{"a":1`, "ends inside an object"},
		"truncated string":    {`{"a":"b`, "ends inside a string"},
		"truncated list":      {`[1,`, "ends where a value is expected"},
		"trailing text":       {`{} {}`, "after the end"},
		"trailing comma":      {`[1,]`, "']' where a value is expected"},
		"no colon":            {`{"a" 1}`, "no colon"},
		"unquoted name":       {`{a:1}`, "no member name"},
		"bad word":            {`nul`, "unknown word"},
		"leading zero":        {`01`, "leading zero"},
		"bare minus":          {`-`, "without digits"},
		"bare point":          {`1.`, "after its point"},
		"bare exponent":       {`1e`, "exponent"},
		"control character":   {"\"a\nb\"", "control character"},
		"bad escape":          {`"\x"`, "unknown escape"},
		"bad unicode escape":  {`"\u12g4"`, "unknown escape"},
		"invalid UTF-8":       {"{\"a\":\"\xff\"}", "byte 6: invalid UTF-8"},
		"duplicate":           {`{"spec":{"a":1,"a":2}}`, `(spec): member "a" appears twice`},
		"duplicate, escaped":  {`{"a":1,"\u0061":2}`, "appears twice"},
		"escaped, duplicate":  {`{"b":0,"\u0061":1,"a":2}`, "appears twice"},
		"duplicate, empty":    {`{"":1,"a":2,"":3}`, `member "" appears twice`},
		"comma in an object":  {`{"a":1,}`, "no member name"},
		"duplicate of many":   {`{"k":0` + many(40) + `,"k7":1}`, `member "k7" appears twice`},
		"too deep":            {strings.Repeat("[", 300), "nested deeper than 256"},
		"too deep in opaque":  {`{"managedFields":` + strings.Repeat("[", 300), "nested deeper than 256"},
		"not a value":         {`{"a":?}`, "(a): '?' where"},
		"path of the problem": {`{"spec":{"containers":[{},{"name":x}]}}`, "(spec.containers[1].name)"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var d Document
			_, err := d.Parse(c.text)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"k` + string(rune('0'+i%10)) + strings.Repeat("x", i/10) + `":1`)
	}
	return b.String()
}

func TestADocumentIsBoundedInValues(t *testing.T) {
	var d Document
	_, err := d.Parse("[" + strings.Repeat("1,", MaxValues) + "1]")
	require.ErrorContains(t, err, "more than 262144 values")
}

func TestADocumentCanBeReused(t *testing.T) {
	var d Document
	_, err := d.Parse(`[1,2,3]`)
	require.NoError(t, err)
	root, err := d.Parse(`{"a":1}`)
	require.NoError(t, err)
	require.Equal(t, "1", root.Get("a").Text())
	d.Reset(1)
	require.Empty(t, d.nodes)
}

// FuzzParse compares what is accepted, and every value found, with encoding/json.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{}`, `[1,-0.5e+3,"a\u00e9\n",true,null]`, `{"a":{"b":[{"c":"d"}]}}`, `{"managedFields":[1]}`,
		`{"":1,"a":{},"ab":[{}],"aab":"\"b\n"}`, "\"\xff\"", `"\ud800"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d Document
		root, err := d.Parse(text)
		if err != nil {
			return
		}
		require.True(t, json.Valid([]byte(text)), "accepted what encoding/json refuses")
		require.True(t, utf8.ValidString(text))
		checkAgainst(t, root)
	})
}

// checkAgainst decodes each indexed value's own text and compares.
func checkAgainst(t *testing.T, v Value) {
	var want any
	require.NoError(t, json.Unmarshal([]byte(v.Text()), &want))
	switch v.Kind() {
	case String:
		s, _ := v.Str()
		require.Equal(t, want, s)
	case Object:
		n := 0
		for name, member := range v.Members() {
			require.Contains(t, want, name)
			require.Equal(t, member.Text(), v.Get(name).Text())
			checkAgainst(t, member)
			n++
		}
		require.Equal(t, v.Len(), n)
	case Array:
		for _, element := range v.Elements() {
			checkAgainst(t, element)
		}
	}
}
