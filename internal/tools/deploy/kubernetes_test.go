// Copyright The OpenTelemetry Authors
// SPDX-License-Identifier: Apache-2.0

package deploy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

// TestKubernetes decodes every manifest into Kubernetes' types, where an unknown field is an error, and checks what an API
// server cannot: that the objects of a file fit each other.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(repository, "deploy/kubernetes/*.yaml"))
	require.NoError(t, err)
	require.Len(t, paths, 5)
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := decode(t, readFile(t, "deploy/kubernetes/"+name))
			m.assertSelectors(t)
			m.assertPod(t)
			m.assertCollector(t)
		})
	}
}

// manifest is what one file deploys: one kind of pod with all that belongs to it.
type manifest struct {
	pod       corev1.PodTemplateSpec
	claims    []corev1.PersistentVolumeClaim
	configs   map[string]string          // config.yaml by the name of its ConfigMap
	selectors map[string]labels.Selector // of pods, by the kind of object that selects
	ports     []string                   // that Services and NetworkPolicies name
	headless  []string                   // Services without an address
	governing string                     // the Service that names a StatefulSet's pods
}

func decode(t *testing.T, content []byte) *manifest {
	t.Helper()
	m := &manifest{configs: map[string]string{}, selectors: map[string]labels.Selector{}}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return m
		}
		require.NoError(t, err)
		object, _, err := decoder.Decode(document, nil, nil)
		require.NoError(t, err)
		m.add(t, object)
	}
}

func (m *manifest) add(t *testing.T, object runtime.Object) {
	t.Helper()
	switch object := object.(type) {
	case *corev1.ConfigMap:
		m.configs[object.Name] = object.Data["config.yaml"]
	case *appsv1.Deployment:
		m.pod = object.Spec.Template
		m.addSelector(t, "Deployment", object.Spec.Selector)
	case *appsv1.DaemonSet:
		m.pod = object.Spec.Template
		m.addSelector(t, "DaemonSet", object.Spec.Selector)
	case *appsv1.StatefulSet:
		m.pod, m.claims, m.governing = object.Spec.Template, object.Spec.VolumeClaimTemplates, object.Spec.ServiceName
		m.addSelector(t, "StatefulSet", object.Spec.Selector)
	case *batchv1.CronJob:
		m.pod = object.Spec.JobTemplate.Spec.Template
	case *corev1.Service:
		m.selectors["Service "+object.Name] = labels.SelectorFromSet(object.Spec.Selector)
		if object.Spec.ClusterIP == corev1.ClusterIPNone {
			m.headless = append(m.headless, object.Name)
		}
		for _, port := range object.Spec.Ports {
			m.ports = append(m.ports, port.TargetPort.String())
		}
	case *policyv1.PodDisruptionBudget:
		m.addSelector(t, "PodDisruptionBudget", object.Spec.Selector)
	case *networkingv1.NetworkPolicy:
		m.addSelector(t, "NetworkPolicy", &object.Spec.PodSelector)
		for _, rule := range object.Spec.Ingress {
			for _, port := range rule.Ports {
				m.ports = append(m.ports, port.Port.String())
			}
		}
	default:
		assert.Failf(t, "nothing is known of this kind", "%T", object)
	}
}

func (m *manifest) addSelector(t *testing.T, kind string, selector *metav1.LabelSelector) {
	t.Helper()
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	require.NoError(t, err)
	m.selectors[kind] = parsed
}

// assertSelectors demands that what selects pods finds this one, and that the ports it names are there.
func (m *manifest) assertSelectors(t *testing.T) {
	t.Helper()
	for kind, selector := range m.selectors {
		assert.False(t, selector.Empty(), kind)
		assert.True(t, selector.Matches(labels.Set(m.pod.Labels)), kind)
	}
	for _, port := range m.ports {
		assert.Contains(t, portsOf(m.containers()...), port)
	}
	if m.governing != "" {
		assert.Contains(t, m.headless, m.governing, "a headless Service names a StatefulSet's pods")
	}
}

func (m *manifest) containers() []corev1.Container {
	return slices.Concat(m.pod.Spec.InitContainers, m.pod.Spec.Containers)
}

func portsOf(containers ...corev1.Container) []string {
	var names []string
	for i := range containers {
		for _, port := range containers[i].Ports {
			names = append(names, port.Name)
		}
	}
	return names
}

// assertPod demands the restricted profile of the Pod Security Standards, limits, and that names lead somewhere.
func (m *manifest) assertPod(t *testing.T) {
	t.Helper()
	spec := m.pod.Spec
	assert.True(t, *spec.SecurityContext.RunAsNonRoot)
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, spec.SecurityContext.SeccompProfile.Type)
	assert.False(t, *spec.AutomountServiceAccountToken)
	var volumes []string
	for i := range spec.Volumes {
		volumes = append(volumes, spec.Volumes[i].Name)
		assert.Contains(t, m.configs, spec.Volumes[i].ConfigMap.Name)
	}
	for i := range m.claims {
		volumes = append(volumes, m.claims[i].Name)
	}
	containers := m.containers()
	for i := range containers {
		assertContainer(t, &containers[i], volumes)
	}
}

func assertContainer(t *testing.T, container *corev1.Container, volumes []string) {
	t.Helper()
	assert.False(t, *container.SecurityContext.AllowPrivilegeEscalation, container.Name)
	assert.True(t, *container.SecurityContext.ReadOnlyRootFilesystem, container.Name)
	assert.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop, container.Name)
	assert.Positive(t, container.Resources.Limits.Memory().Value(), container.Name)
	assert.Positive(t, container.Resources.Requests.Memory().Value(), container.Name)
	for _, mount := range container.VolumeMounts {
		assert.Contains(t, volumes, mount.Name)
	}
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
		if probe != nil {
			assert.Contains(t, portsOf(*container), probe.HTTPGet.Port.String())
		}
	}
}

// assertCollector demands that the collector's configuration is valid with the environment it gets, and its memory bounded.
func (m *manifest) assertCollector(t *testing.T) {
	t.Helper()
	require.Len(t, m.configs, 1)
	i := slices.IndexFunc(m.containers(), func(c corev1.Container) bool { return c.Name == "collector" })
	require.GreaterOrEqual(t, i, 0)
	container := m.containers()[i]
	assert.Contains(t, container.Args, "--config=/etc/otelcol-pushgateway/config.yaml")
	env := map[string]string{}
	for _, variable := range container.Env {
		env[variable.Name] = variable.Value
		if from := variable.ValueFrom; from != nil && from.SecretKeyRef != nil {
			env[variable.Name] = datasource
		} else if from != nil {
			env[variable.Name] = "10.0.0.1" // an address, which is all else that the manifests take from elsewhere
		}
	}
	for _, config := range m.configs {
		validate(t, config, env)
		assertMemory(t, container.Resources.Limits.Memory().Value(), env["GOMEMLIMIT"], config)
	}
}
