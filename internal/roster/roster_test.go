package roster

import "testing"

// TestTableShrinks: a map of Go keeps its room, a Table does not.
func TestTableShrinks(t *testing.T) {
	var tab Table[int, member]
	var all []*member
	for key := range 50_000 {
		m := new(member)
		all = append(all, m)
		tab.Put(key, m)
	}
	if tab.Len() != len(all) || tab.Get(77) != all[77] {
		t.Fatal("the table lost an association")
	}
	if tab.Remove(5, new(member)) {
		t.Error("removed another association")
	}
	for key := 10; key < len(all); key++ {
		if !tab.Remove(key, all[key]) {
			t.Fatal("cannot be removed")
		}
	}
	if tab.m.peak > shrinkFrom {
		t.Errorf("room for %d", tab.m.peak)
	}
	if tab.Len() != 10 || len(tab.appendTo(nil)) != 10 || tab.Get(3) != all[3] {
		t.Error("the table lost an association as it shrank")
	}
}

// TestRoster: the three associations of a key.
func TestRoster(t *testing.T) {
	var r Roster[string, member]
	name := func(s string) *member { return &member{name: s} }
	first, second, third, dialed, other := name("first"), name("second"), name("third"), name("dialed"), name("other")
	check := func(want At[member], all int) {
		t.Helper()
		got := r.At("key")
		if got != want {
			t.Errorf("%s, %s, %s; want %s, %s, %s", nameOf(got.Accepted), nameOf(got.Newcomer), nameOf(got.Dialed),
				nameOf(want.Accepted), nameOf(want.Newcomer), nameOf(want.Dialed))
		}
		if n, _ := r.Len(); n != all || len(r.All()) != all {
			t.Errorf("%d associations, %d listed; want %d", n, len(r.All()), all)
		}
	}
	r.Accept("another key", other, nil)
	check(At[member]{}, 1)
	r.Accept("key", first, nil)
	r.Dial("key", dialed)
	check(At[member]{Accepted: first, Dialed: dialed}, 3)
	if r.Complete("key", first) != nil || r.Complete("key", dialed) != nil {
		t.Error("what is no newcomer replaced an association")
	}
	r.Accept("key", second, nil)
	check(At[member]{first, second, dialed}, 4)
	r.Accept("key", third, second)
	check(At[member]{first, third, dialed}, 4)
	r.Remove("key", second) // is out already
	check(At[member]{first, third, dialed}, 4)
	if r.At("key").Newest() != third {
		t.Error("the newcomer is the newest")
	}
	if r.Complete("key", third) != first {
		t.Error("the newcomer replaces the accepted one")
	}
	check(At[member]{Accepted: third, Dialed: dialed}, 3)
	r.Accept("key", first, third)
	check(At[member]{Accepted: first, Dialed: dialed}, 3)
	r.Accept("key", second, nil)
	r.Remove("key", first)
	check(At[member]{Accepted: second, Dialed: dialed}, 3)
	r.Remove("key", dialed)
	r.Remove("key", second)
	check(At[member]{}, 1)
}

// TestBacklog: as many calls get an association as there are, whoever receives the
// token.
func TestBacklog(t *testing.T) {
	b := NewBacklog[member]()
	first, second, third := new(member), new(member), new(member)
	for _, m := range []*member{first, second, third} {
		b.Push(m)
	}
	b.Remove(second)
	b.Remove(second)
	for i, want := range []*member{first, third} {
		select {
		case <-b.More():
		default:
			t.Fatalf("no token for call %d", i)
		}
		if got := b.Pop(); got != want {
			t.Errorf("call %d got another association", i)
		}
	}
	if b.Pop() != nil || b.Len() != 0 {
		t.Error("it is not empty")
	}
	select {
	case <-b.More():
		t.Error("a token without an association")
	default:
	}
	var empty Backlog[member]
	if empty.Pop() != nil || empty.More() != nil {
		t.Error("the zero Backlog is not empty")
	}
}
