package config

// Wasm runs records through a WebAssembly module.
type Wasm struct{}
