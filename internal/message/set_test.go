package message

import "testing"

func TestSetReadsAsASentence(t *testing.T) {
	for _, tt := range []struct {
		set  Set
		want string
	}{
		{SetOf(), "no message"},
		{SetOf(TypeFinished), "finished"},
		{SetOf(TypeHelloVerifyRequest, TypeServerHello), "server_hello or hello_verify_request"},
		{SetOf(TypeMessageHash, TypeHelloRequest, TypeHelloRequest, 77), "hello_request, handshake_type(77) or message_hash"},
	} {
		if got := tt.set.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestSetHasWhatItWasGiven(t *testing.T) {
	for i := range 256 {
		s := SetOf(Type(i))
		for j := range 256 {
			if s.Has(Type(j)) != (i == j) {
				t.Fatalf("set of %d has %d: %v", i, j, s.Has(Type(j)))
			}
		}
	}
	if SetOf(TypeFinished, TypeCertificate) != SetOf(TypeCertificate, TypeFinished) {
		t.Error("order matters")
	}
}
