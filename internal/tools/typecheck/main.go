// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

// Command typecheck reports the type errors of the packages and tests in the module of the working directory, for the
// platform that GOOS and GOARCH name.
//
// It reads dependencies from source and compiles nothing. `go vet` finds the same errors, but compiles every dependency for a
// platform that nothing else is compiled for, which takes minutes.
package main

import (
	"fmt"
	"os"

	"golang.org/x/tools/go/packages"
)

func main() {
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps |
			packages.NeedTypes | packages.NeedTypesSizes | packages.NeedSyntax,
		Tests: true,
	}, "./...")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if packages.PrintErrors(loaded) > 0 {
		os.Exit(1)
	}
}
