// A server of custom resources and nothing else, made of Debian's Go library packages of a current Kubernetes.
// Nobody is asked who they are: it listens on loopback, for a test.
package main

import (
	"os"

	"github.com/spf13/pflag"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generatedopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/klog/v2"
)

func main() {
	chosen := options.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	known := chosen.RecommendedOptions
	known.Authentication, known.Authorization, known.Admission, known.CoreAPI = nil, nil, nil, nil
	known.Features.EnablePriorityAndFairness = false
	chosen.AddFlags(pflag.CommandLine)
	pflag.Parse()
	must(chosen.ServerRunOptions.ComponentGlobalsRegistry.Set())
	must(chosen.Complete())
	must(chosen.Validate())
	must(known.SecureServing.MaybeDefaultWithSelfSignedCerts("localhost", nil, nil))

	served := genericapiserver.NewRecommendedConfig(apiserver.Codecs)
	must(chosen.ServerRunOptions.ApplyTo(&served.Config))
	must(known.ApplyTo(served))
	must(chosen.APIEnablement.ApplyTo(&served.Config, apiserver.DefaultAPIResourceConfigSource(), apiserver.Scheme))
	namer := openapinamer.NewDefinitionNamer(apiserver.Scheme)
	served.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(generatedopenapi.GetOpenAPIDefinitions, namer)
	served.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(generatedopenapi.GetOpenAPIDefinitions, namer)
	config := &apiserver.Config{GenericConfig: served, ExtraConfig: apiserver.ExtraConfig{
		CRDRESTOptionsGetter: options.NewCRDRESTOptionsGetter(
			*known.Etcd, served.ResourceTransformers, served.StorageObjectCountTracker),
	}}
	server, err := config.Complete().New(genericapiserver.NewEmptyDelegate())
	must(err)
	must(server.GenericAPIServer.PrepareRun().RunWithContext(genericapiserver.SetupSignalContext()))
}

func must(err error) {
	if err != nil {
		klog.ErrorS(err, "cannot serve")
		os.Exit(1)
	}
}
