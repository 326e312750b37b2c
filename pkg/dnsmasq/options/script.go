package options

import (
	"errors"
	"fmt"
)

// exitScript is added to the exit code of a --conf-script program.
const exitScript = 10

// ScriptError means that a --conf-script program ended with an exit code other than 0, or
// was ended by a signal, whose number is then the code.
type ScriptError struct{ Code int }

// Error returns the code.
func (e *ScriptError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

func setConfScript(p *parser, value string, _ bool) error {
	p.inTurn(func() { p.readScript(unhide(value)) })
	return nil
}

// readScript runs a program and applies the options in its output.
func (p *parser) readScript(command string) {
	if command == "" {
		return
	}
	if p.depth >= maxDepth {
		p.addFault(&Fault{Text: "cannot execute " + printable(command) + ": too many nested files", Exit: ExitFile})
		return
	}
	output, err := p.files.Run(command)
	code, failed := errors.AsType[*ScriptError](err)
	if err != nil && !failed {
		p.addFault(&Fault{Text: "cannot execute " + printable(command) + ": " + reason(err), Exit: ExitFile})
		return
	}
	p.depth++
	p.fromScript++
	p.lines(command, output)
	p.fromScript--
	p.depth--
	if failed {
		p.addFault(&Fault{
			Text: printable(command) + " returns non-zero error code", Detail: code.Error(),
			Exit: exitScript + code.Code,
		})
	}
}
