// What an API server makes of a pod by the expressions of a MutatingAdmissionPolicy, by its own code.
//
// Standard input: {"expressions": ["…"], "pod": {…}}. Standard output: the pod as it would be stored; exit 1 with the fault otherwise.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

type request struct {
	Expressions []string    `json:"expressions"`
	Pod         *corev1.Pod `json:"pod"`
}

func main() {
	var asked request
	err := json.NewDecoder(os.Stdin).Decode(&asked)
	if err == nil {
		var made runtime.Object
		if made, err = mutated(asked); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(made)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func mutated(asked request) (runtime.Object, error) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return nil, err
	}
	kind, resource := corev1.SchemeGroupVersion.WithKind("Pod"), corev1.SchemeGroupVersion.WithResource("pods")
	var object runtime.Object = asked.Pod
	for i, expression := range asked.Expressions {
		condition := &patch.JSONPatchCondition{Expression: expression}
		compiled := compiler.CompileMutatingEvaluator(condition, cel.OptionalVariableDeclarations{HasPatchTypes: true}, environment.NewExpressions)
		if faults := compiled.CompilationErrors(); len(faults) > 0 {
			return nil, fmt.Errorf("expression %d does not compile: %v", i, faults)
		}
		attributes := admission.NewAttributesRecord(
			object, nil, kind, asked.Pod.Namespace, asked.Pod.Name, resource, "", admission.Create, &metav1.CreateOptions{}, false, nil)
		object, err = patch.NewJSONPatcher(compiled).Patch(context.Background(), patch.Request{
			MatchedResource: resource,
			VersionedAttributes: &admission.VersionedAttributes{
				Attributes:         attributes,
				VersionedKind:      kind,
				VersionedObject:    admission.NewLazyObject(object),
				VersionedOldObject: admission.NewLazyObject(nil),
			},
			ObjectInterfaces: admission.NewObjectInterfacesFromScheme(scheme),
		}, celconfig.RuntimeCELCostBudget)
		if err != nil {
			return nil, fmt.Errorf("expression %d: %w", i, err)
		}
	}
	return object, nil
}
