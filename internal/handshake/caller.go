package handshake

import (
	"context"
	"crypto/tls"
	"reflect"
)

// Caller is the call that runs a handshake.
type Caller interface {
	// Context is the parent of the contexts that callbacks get.
	Context() context.Context
}

// context is the parent of the contexts that callbacks get.
func (hs *Handshake) context() context.Context {
	if c := hs.link.Caller(); c != nil {
		return c.Context()
	}
	return context.Background()
}

// SetContext sets what the Context method of an info returns that a callback gets.
// crypto/tls has no other way to do it; if a version of Go moves the field, the
// context stays nil.
func SetContext[Info tls.ClientHelloInfo | tls.CertificateRequestInfo](info *Info, ctx context.Context) {
	field := reflect.ValueOf(info).Elem().FieldByName("ctx")
	if !field.IsValid() || field.Type() != reflect.TypeFor[context.Context]() {
		return
	}
	reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().Set(reflect.ValueOf(ctx))
}
