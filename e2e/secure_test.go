// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/push"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// users is an htpasswd file: user team-a with the password "secret", hashed with bcrypt.
const users = "team-a:$2a$04$KyxdmeSQaOGyaLC5gsFo.ea/BKRKdW1syLPwRu0QyOpKbKCcyXyF2\n"

// TestSecure starts the example with TLS, authentication and limits and pushes with client_golang.
func TestSecure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	client := writeCertificate(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "users.htpasswd"), []byte(users), 0o600))
	c := startCollector(t, settings{
		config: "../configs/secure.yaml",
		set:    []string{"exporters::nop:", "service::pipelines::metrics::exporters: [nop]"},
		env: map[string]string{
			"TLS_CERT_FILE": filepath.Join(dir, "tls.crt"),
			"TLS_KEY_FILE":  filepath.Join(dir, "tls.key"),
			"HTPASSWD_FILE": filepath.Join(dir, "users.htpasswd"),
		},
		scheme: "https",
		client: client,
	})
	pusher := func() *push.Pusher { return push.New(c.url, "nightly").Client(client).Collector(gauge("a", 1)) }

	assert.NoError(t, pusher().BasicAuth("team-a", "secret").Push())
	assert.ErrorContains(t, pusher().BasicAuth("team-a", "guess").Push(), "unexpected status code 401")
	assert.ErrorContains(t, pusher().Push(), "unexpected status code 401")
	tooLong := pusher().BasicAuth("team-a", "secret").Grouping("path", string(bytes.Repeat([]byte("x"), 1025)))
	assert.ErrorContains(t, tooLong.Push(), "label_value_length")
	// Whoever speaks plain HTTP gets nothing served.
	assert.ErrorContains(t, push.New("http"+c.url[len("https"):], "nightly").Collector(gauge("a", 1)).Push(), "400")
}

// writeCertificate writes a certificate for 127.0.0.1 with its key into a folder and makes a client that trusts it.
func writeCertificate(t *testing.T, dir string) *http.Client {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	writePEM(t, filepath.Join(dir, "tls.crt"), "CERTIFICATE", certificate)
	writePEM(t, filepath.Join(dir, "tls.key"), "PRIVATE KEY", keyBytes)

	trusted := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(certificate)
	require.NoError(t, err)
	trusted.AddCert(parsed)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}}}
}

func writePEM(t *testing.T, path, kind string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
}
