//! XML-RPC: calls, responses and faults.

use std::fmt::Write;

use quick_xml::escape::escape;

use crate::WireError;
use crate::xml::{Element, walk};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// None.
    Nil,
    /// `boolean`.
    Bool(bool),
    /// `int`, `i4` or `i8`.
    Int(i64),
    /// `double`.
    Double(f64),
    /// `string`, and what has no type; also dates and base64, as they are.
    Text(String),
    /// `array`.
    Array(Vec<Value>),
    /// `struct`, in the order sent.
    Struct(Vec<(String, Value)>),
}

impl Value {
    /// A member of a struct, unless it is none.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Self::Struct(members) = self else { return None };
        let found = members.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value).filter(|value| **value != Self::Nil)
    }
}

/// Values and members that have ended, and how deep they stand.
#[derive(Default)]
struct Stack {
    values: Vec<(usize, Value)>,
    members: Vec<(usize, String, Value)>,
    /// The names of members that have not ended.
    names: Vec<String>,
    method: Option<String>,
}

impl Stack {
    /// Takes the values that stand deeper than this.
    fn values_within(&mut self, depth: usize) -> Vec<Value> {
        let at = self.values.iter().position(|(at, _)| *at > depth).unwrap_or(self.values.len());
        self.values.split_off(at).into_iter().map(|(_, value)| value).collect()
    }

    fn take(&mut self, element: &Element, around: &[Element]) {
        let depth = around.len();
        let within = around.last().map_or("", |element| element.name.as_str());
        let text = element.text.as_str();
        let value = match element.name.as_str() {
            "methodName" => {
                self.method = Some(text.trim().to_owned());
                return;
            }
            "name" if within == "member" => {
                self.names.push(text.to_owned());
                return;
            }
            "member" => {
                let value = self.values_within(depth).pop().unwrap_or(Value::Nil);
                let name = self.names.pop().unwrap_or_default();
                self.members.push((depth, name, value));
                return;
            }
            "value" => {
                // Its type is an element within it, else it is a text.
                let typed = self.values_within(depth).pop();
                typed.unwrap_or_else(|| Value::Text(text.to_owned()))
            }
            "nil" => Value::Nil,
            "boolean" => Value::Bool(text.trim() == "1"),
            "int" | "i4" | "i8" => match text.trim().parse() {
                Ok(number) => Value::Int(number),
                Err(_) => Value::Text(text.to_owned()),
            },
            "double" => match text.trim().parse() {
                Ok(number) => Value::Double(number),
                Err(_) => Value::Text(text.to_owned()),
            },
            "string" | "dateTime.iso8601" | "base64" => Value::Text(text.to_owned()),
            "array" => Value::Array(self.values_within(depth)),
            "struct" => {
                let at = self.members.iter().position(|(at, ..)| *at > depth);
                let members = self.members.split_off(at.unwrap_or(self.members.len()));
                Value::Struct(members.into_iter().map(|(_, name, value)| (name, value)).collect())
            }
            _ => return,
        };
        self.values.push((depth, value));
    }
}

/// The method and the arguments of a call.
///
/// # Errors
/// The text is no call.
pub(super) fn call(text: &str) -> Result<(String, Vec<Value>), WireError> {
    let mut stack = Stack::default();
    walk(text, |element, around| stack.take(element, around))?;
    let method = stack.method.ok_or_else(|| WireError::bad("methodName", "is missing"))?;
    Ok((method, stack.values.into_iter().map(|(_, value)| value).collect()))
}

fn write(text: &mut String, value: &Value) {
    // Writing to a text cannot fail.
    let _ = match value {
        Value::Nil => write!(text, "<value><nil/></value>"),
        Value::Bool(flag) => write!(text, "<value><boolean>{}</boolean></value>", u8::from(*flag)),
        Value::Int(number) => write!(text, "<value><int>{number}</int></value>"),
        Value::Double(number) => write!(text, "<value><double>{number}</double></value>"),
        Value::Text(value) => write!(text, "<value><string>{}</string></value>", escape(value)),
        Value::Array(values) => {
            text.push_str("<value><array><data>");
            values.iter().for_each(|value| write(text, value));
            write!(text, "</data></array></value>")
        }
        Value::Struct(members) => {
            text.push_str("<value><struct>");
            for (name, value) in members {
                let _ = write!(text, "<member><name>{}</name>", escape(name));
                write(text, value);
                text.push_str("</member>");
            }
            write!(text, "</struct></value>")
        }
    };
}

const HEAD: &str = "<?xml version=\"1.0\"?>\n<methodResponse>";

/// A response.
pub fn response(value: &Value) -> String {
    let mut text = format!("{HEAD}<params><param>");
    write(&mut text, value);
    text + "</param></params></methodResponse>\n"
}

/// A fault, which the client shows to people.
pub fn fault(code: i64, problem: &str) -> String {
    let mut text = format!("{HEAD}<fault>");
    let members = [
        ("faultCode".to_owned(), Value::Int(code)),
        ("faultString".to_owned(), Value::Text(problem.to_owned())),
    ];
    write(&mut text, &Value::Struct(members.to_vec()));
    text + "</fault></methodResponse>\n"
}
