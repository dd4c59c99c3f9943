package main

import "testing"

func TestArguments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		text string
	}{
		"configuration without its flag": {[]string{"run", "hydrant.yml"}, "hydrant run takes no arguments; did you mean --config hydrant.yml?"},
		"two arguments of run":           {[]string{"run", "a", "b"}, `hydrant run takes no arguments, but was given "a"`},
		"no arguments":                   {[]string{"version", "x"}, `hydrant version takes no arguments, but was given "x"`},
		"letters swapped":                {[]string{"quikstart"}, `unknown command "quikstart"; did you mean quickstart?`},
		"nothing like it":                {[]string{"frobnicate"}, `unknown command "frobnicate"` + "\n"},
		"log":                            {[]string{"log", "verfy", "x"}, `unknown command "verfy"; did you mean verify?`},
		"validate":                       {[]string{"validate"}, "FILE is missing; write hydrant validate FILE..."},
		"describe":                       {[]string{"describe"}, "STREAM is missing; write hydrant describe STREAM"},
		"describe twice":                 {[]string{"describe", "a", "b"}, `"b" is one argument too many; write hydrant describe STREAM`},
		"put":                            {[]string{"put"}, "STREAM is missing; write hydrant put STREAM [FILE|-]"},
		"put thrice":                     {[]string{"put", "a", "b", "c"}, `"c" is one argument too many`},
		"dump":                           {[]string{"log", "dump"}, "DIR is missing; write hydrant log dump DIR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cli(t, "", c.args...).want(t, 2, c.text)
		})
	}
}
