// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Package deploy checks what is in deploy/ with the libraries that read it: Kubernetes' own types, Compose's loader and
// BuildKit's Dockerfile frontend. `make deploy` runs it. It is a module of its own, since its dependencies are heavy and would
// change those of the other tools.
package deploy
