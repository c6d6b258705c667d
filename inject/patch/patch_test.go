package patch

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dagger-inject/dagger-inject/inject/rawjson"
)

func session(t *testing.T, text, pointer string) *Session {
	t.Helper()
	var d rawjson.Document
	root, err := d.Parse(text)
	require.NoError(t, err)
	return New(root, pointer, 0)
}

func operations(t *testing.T, s *Session) string {
	t.Helper()
	ops, err := s.Operations()
	require.NoError(t, err)
	return string(Marshal(ops))
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func TestParentsAreCreated(t *testing.T) {
	for name, pod := range map[string]string{
		"absent": `{}`,
		"null":   `{"spec":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := session(t, pod, "")
			spec := s.Root().Member("spec")
			spec.Member("securityContext").Member("supplementalGroups").Append(raw("1001"))
			spec.Member("looked-at-only").Member("deeper")
			require.JSONEq(t, `[{"op":"add","path":"/spec","value":{"securityContext":{"supplementalGroups":[1001]}}}]`, operations(t, s),
				"one operation, with everything below the parent in it")
		})
	}
}

func TestListsThatExistGetOneOperationAValue(t *testing.T) {
	s := session(t, `{"l":[{"name":"a"},{"name":"b","env":null}]}`, "")
	l := s.Root().Member("l")
	var second rawjson.Value
	for _, e := range l.raw.Elements() {
		second = e
	}
	l.Prepend(raw(`"first"`))
	l.Prepend(raw(`"second"`))
	l.Append(raw(`"last"`))
	l.Element(1, second).Member("env").Append(raw(`1`))
	ops, err := s.Operations()
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"op":"add","path":"/l/1/env","value":[1]},
		{"op":"add","path":"/l/0","value":"first"},
		{"op":"add","path":"/l/1","value":"second"},
		{"op":"add","path":"/l/-","value":"last"}]`, string(Marshal(ops)),
		"additions inside elements come before those that shift them")
	patched, err := Apply([]byte(`{"l":[{"name":"a"},{"name":"b","env":null}]}`), ops)
	require.NoError(t, err)
	require.JSONEq(t, `{"l":["first","second",{"name":"a"},{"name":"b","env":[1]},"last"]}`, string(patched))
}

func TestPointersAreEscapedAndPrefixed(t *testing.T) {
	s := session(t, `{"a":{}}`, "/spec/template")
	s.Root().Member("a").Member(`x/y~z"`).Set(String("v"))
	require.Equal(t, `[{"op":"add","path":"/spec/template/a/x~1y~0z\"","value":"v"}]`, operations(t, s))
}

func TestNothingIsNoOperation(t *testing.T) {
	s := session(t, `{"a":{}}`, "")
	s.Root().Member("a").Member("b")
	ops, err := s.Operations()
	require.NoError(t, err)
	require.Nil(t, ops)
}

// TestSessionsShareNothing makes sessions one after the other in the same memory, of which the first has more than fits.
func TestSessionsShareNothing(t *testing.T) {
	for _, n := range []int{50, 1, 3} {
		s, want := session(t, `{"l":[]}`, ""), []Operation{}
		for i := range n {
			name := fmt.Sprintf("m%d-%d", n, i)
			s.Root().Member(name).Set(String(name))
			s.Root().Member("l").Append(String(name))
			want = append(want, Operation{"/" + name, String(name)})
		}
		for i := range n {
			want = append(want, Operation{"/l/-", want[i].Value})
		}
		ops, err := s.Operations()
		require.NoError(t, err)
		require.ElementsMatch(t, want, ops)
		_, err = s.Operations()
		require.ErrorIs(t, err, errEnded)
	}
}

func TestMisuseIsAnError(t *testing.T) {
	cases := map[string]func(*Cursor){
		"a value is already set": func(c *Cursor) { c.Member("set").Set(raw("1")) },
		"want a list":            func(c *Cursor) { c.Member("set").Append(raw("1")) },
		"got a string":           func(c *Cursor) { c.Member("set").Prepend(raw("1")) },
		"want an object":         func(c *Cursor) { c.Member("set").Member("below").Set(raw("1")) },
		"element 0":              func(c *Cursor) { c.Member("list").Element(0, c.raw.Get("set")) },
	}
	for want, misuse := range cases {
		t.Run(want, func(t *testing.T) {
			s := session(t, `{"set":"x","list":["x"]}`, "")
			misuse(s.Root())
			_, err := s.Operations()
			require.ErrorContains(t, err, want)
		})
	}
	_, err := session(t, `[]`, "").Operations()
	require.ErrorContains(t, err, "want an object, got a list")
}

func TestReplaceTakesThePlaceOfWhatIsThere(t *testing.T) {
	s := session(t, `{"a":"old"}`, "")
	s.Root().Member("a").Replace(String("new"))
	require.Equal(t, `[{"op":"add","path":"/a","value":"new"}]`, operations(t, s))
}

func TestApplyIsStrict(t *testing.T) {
	_, err := Apply([]byte(`{}`), []Operation{{Path: "/a/b", Value: raw("1")}})
	require.ErrorContains(t, err, "applying the patch", "a parent that is not there is not made up")
	_, err = Apply([]byte(`{"a":[]}`), []Operation{{Path: "/a/1", Value: raw("1")}})
	require.ErrorContains(t, err, "applying the patch", "an index past the end")
}

func TestApplyKeepsNumberTokens(t *testing.T) {
	patched, err := Apply([]byte(`{"n":9007199254740993,"f":1.10}`), []Operation{{Path: "/a", Value: raw("1")}})
	require.NoError(t, err)
	require.Equal(t, `{"a":1,"f":1.10,"n":9007199254740993}`, string(patched))
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "plain", `quo"te\`, "\x00\x7f", "é", "\xff", "<&>\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		require.NoError(t, json.Unmarshal(AppendString(nil, s), &back))
		want, _ := json.Marshal(s)
		var wantBack string
		require.NoError(t, json.Unmarshal(want, &wantBack))
		require.Equal(t, wantBack, back)
	})
}
