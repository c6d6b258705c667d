// A module of its own, so that what builds images is no dependency of dagger-inject.
module github.com/dagger-inject/dagger-inject/test/rig/images

go 1.26.0

require github.com/dagger-inject/dagger-inject/build/image v0.0.0

require (
	github.com/google/go-containerregistry v0.22.1 // indirect
	github.com/klauspost/compress v1.19.2 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
	golang.org/x/sync v0.22.0 // indirect
)

replace github.com/dagger-inject/dagger-inject/build/image => ../../../build/image
