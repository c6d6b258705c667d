// Package probetest serves the part of a Dagger Engine's protocol that package probe asks for, for tests without an engine.
package probetest

import (
	"encoding/binary"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/dagger-inject/dagger-inject/inject/engine/probe"
)

// EngineInfo is what an engine of a version says about itself.
func EngineInfo(version string) probe.Info {
	return probe.Info{Package: "github.com/dagger/dagger", Version: version, Revision: "dagger-dagger-helm-engine-x7k2m"}
}

// Server speaks HTTP/2 only, as an engine does: without TLS by Serve, with it by ServeTLS.
func Server(handler http.Handler) *http.Server {
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}

// Handler answers moby.buildkit.v1.Control/Info, and any other method as a gRPC server answers unknown ones.
func Handler(info probe.Info) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/moby.buildkit.v1.Control/Info" || r.Method != http.MethodPost ||
			r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Te") != "trailers" {
			Answer(w, nil, "12", "unknown method")
			return
		}
		Answer(w, Frame(info), "0", "")
	})
}

// Answer writes a gRPC response: a body, and the status in the trailers.
func Answer(w http.ResponseWriter, body []byte, status, message string) {
	w.Header().Set("Content-Type", "application/grpc")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // A client that has left is no error of the server.
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
	w.Header().Set(http.TrailerPrefix+"Grpc-Message", message)
}

// Frame is an InfoResponse in its gRPC frame. Like a real one it has the field systemInfo, which the probe skips.
func Frame(info probe.Info) []byte {
	var version []byte
	for i, text := range []string{info.Package, info.Version, info.Revision} {
		version = protowire.AppendTag(version, protowire.Number(i+1), protowire.BytesType)
		version = protowire.AppendString(version, text)
	}
	message := protowire.AppendTag(nil, 1, protowire.BytesType)
	message = protowire.AppendBytes(message, version)
	message = protowire.AppendTag(message, 2, protowire.BytesType)
	message = protowire.AppendBytes(message, protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 8))
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}
