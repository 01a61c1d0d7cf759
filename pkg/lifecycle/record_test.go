package lifecycle

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// fill gives every field below v a value of its own.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(int64(*n), 0).UTC()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(t, v.Field(i), n)
			}
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, value, n)
		v.SetMapIndex(key, value)
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case v.CanInt():
		v.SetInt(int64(*n))
	case v.CanUint():
		v.SetUint(uint64(*n % 200))
	case v.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf("text"))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	default:
		t.Fatalf("no value for %s", v.Type())
	}
}

// TestRecordIsWhole: whatever a job and its plan can hold, the next process has,
// secrets included.
func TestRecordIsWhole(t *testing.T) {
	n := 0
	want := recordHead{Job: &job.Job{}, Plan: &job.Plan{}}
	fill(t, reflect.ValueOf(want.Job).Elem(), &n)
	fill(t, reflect.ValueOf(want.Plan).Elem(), &n)
	want.Received = time.Now().UTC()
	want.Log = piece{Text: []byte("Running with \xff")}
	data, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := pastOf(executor.Record{JobID: 1, Begin: data})
	if err != nil {
		t.Fatal(err)
	}
	for _, diff := range []string{
		cmp.Diff(want.Job, got.Job), cmp.Diff(want.Plan, got.Plan), cmp.Diff(want.Log.Text, got.pieces[0].Text), cmp.Diff(want.Received, got.Received),
	} {
		if diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
	}
	if got.Job.Token.Reveal() == "" || got.Plan.Credentials[1].Password != want.Plan.Credentials[1].Password {
		t.Error("secrets are missing")
	}
}

func TestRecordThatCannotBeUsed(t *testing.T) {
	newer, err := pack(recordHead{Version: recordVersion + 1, Job: &job.Job{}, Plan: &job.Plan{}})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pack(recordHead{Version: recordVersion, PlanVersion: job.PlanVersion + 1, Job: &job.Job{}, Plan: &job.Plan{}})
	if err != nil {
		t.Fatal(err)
	}
	lost, err := pack(recordHead{Version: recordVersion, Job: &job.Job{}, Plan: &job.Plan{}, Secrets: map[string]string{".Job.Elsewhere": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		data  []byte
		newer bool
	}{
		"newer": {newer, true}, "newer plan": {plan, true}, "a secret without a place": {lost, false},
		"no gzip": {[]byte("x"), false}, "cut off": {newer[:len(newer)/2], false}, "nothing": {nil, false},
	} {
		if _, err := pastOf(executor.Record{Begin: tt.data}); err == nil || errors.Is(err, errNewer) != tt.newer {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRecordOfAJobThatBeganAnew(t *testing.T) {
	head := recordHead{Job: &job.Job{}, Plan: &job.Plan{}, Log: piece{Text: []byte("head\n")}}
	begin, err := head.encode()
	if err != nil {
		t.Fatal(err)
	}
	r := executor.Record{Begin: begin, More: map[string][]byte{}}
	for n, p := range []piece{
		{At: 3, Off: 8, Text: []byte("x"), fact: fact{Marks: map[int]string{0: "1"}, Told: []string{"a"}}},
		{Text: []byte("head\nabcx"), Anew: "build"},
		{At: 2, Off: 11, Text: []byte("y"), fact: fact{Marks: map[int]string{1: "2"}}},
		{At: 7, Off: 17, fact: fact{Marks: map[int]string{1: "3"}, End: &ending{Kept: true}}},
	} {
		if r.More[entryName(n)], err = pack(p); err != nil {
			t.Fatal(err)
		}
	}
	p, err := pastOf(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.pieces) != 3 || string(p.pieces[0].Text) != "head\nabcx" || len(p.earlier) != 1 || p.earlier[0] != "build" {
		t.Errorf("pieces %+v, earlier %q", p.pieces, p.earlier)
	}
	if diff := cmp.Diff(map[int]string{1: "3"}, p.Marks); diff != "" || len(p.Told) != 0 || p.End == nil || !p.End.Kept || p.endAt != 7 || p.next != 4 {
		t.Errorf("facts %+v, end at %d, next %d\n%s", p.fact, p.endAt, p.next, diff)
	}
}
